"""Checks a .dvc file without writing anything."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from dvc_codec.codec.decoder import Decoded, Decoder
from dvc_codec.codec.limits import DEFAULT_LIMITS, Limits
from dvc_codec.codec.model import Model
from dvc_codec.container import Gop, Reader
from dvc_codec.errors import DamagedFile


@dataclass
class Verdict:
    """What is wrong with a file.

    ``problems`` are texts, one for each thing that is damaged; ``pictures`` is None where only the
    bytes were checked.
    """

    gops: int = 0
    frames: int = 0
    packets: int = 0
    problems: list[str] = field(default_factory=list)
    pictures: Decoded | None = None

    @property
    def sound(self) -> bool:
        """Whether nothing is damaged. Pictures that another machine rounds otherwise are not."""
        return not self.problems


def verify_file(
    source: Path,
    *,
    pictures: bool = True,
    limits: Limits = DEFAULT_LIMITS,
    model: Model | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Verdict:
    """Check every CRC and, with ``pictures``, decode every frame and compare its hash.

    Raises DvcError where the file cannot be read at all; what else is wrong is in the verdict.
    """
    verdict = check_bytes(source)
    if not pictures or not verdict.frames:
        return verdict
    found = Decoded()
    with Decoder(source, model, limits=limits) as decoder:
        total = decoder.frame_count
        with closing(decoder.shown()) as all_shown:
            for position, shown in enumerate(all_shown):
                found.add(position, shown)
                if progress:
                    progress(position + 1, total)
    verdict.pictures = found
    if found.lost and verdict.sound:
        verdict.problems.append(f"{found.lost_frames} frames do not decode though CRCs are right")
    return verdict


def check_bytes(source: Path) -> Verdict:
    """Check every CRC, and that the index says where the GOPs are. Needs no weights."""
    verdict = Verdict()
    with Reader(source) as reader:
        if reader.index_rebuilt:
            verdict.problems.append("the index is missing: the file is cut or damaged at its end")
        for number in range(len(reader.index)):
            try:
                gop = reader.read_gop(number)
            except DamagedFile as error:
                verdict.problems.append(str(error).removeprefix(f"{source}: "))
                continue
            verdict.gops += 1
            verdict.frames += len(gop.frames)
        gops = 0
        try:
            for found in reader.chunks():
                gops += isinstance(found, Gop)
                verdict.packets += not isinstance(found, Gop)
        except DamagedFile as error:
            text = str(error).removeprefix(f"{source}: ")
            if text not in verdict.problems:
                verdict.problems.append(text)
        else:
            if gops != len(reader.index):
                verdict.problems.append(f"{gops} GOPs, but the index has {len(reader.index)}")
    return verdict
