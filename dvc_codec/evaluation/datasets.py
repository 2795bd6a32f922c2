"""The standard test sets by their real file names, sizes, rates and lengths.

A raw .yuv does not say what it holds: its name says it here, and its length in bytes must agree.
Files may lie in the folder or in folders below it; a set need not be complete.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from dvc_codec.errors import FileMissing, NotAVideo, UsageError
from dvc_codec.evaluation.sequences import SUFFIXES, Sequence, check_frames, sequences_in
from dvc_codec.video import RawFormat, open_video

RAW = ".yuv"


@dataclass(frozen=True)
class Known:
    """A sequence as its publisher describes it.

    Args:
        name: what tables call it.
        group: the class it is averaged with.
        stem: of its file name, up to the size.
        width: in luma samples.
        height: in luma samples.
        rate: frames per second.
        frames: its length. Some copies of HEVC's have one more, which is left out.
        aliases: other names that it goes by.
    """

    name: str
    group: str
    stem: str
    width: int
    height: int
    rate: int
    frames: int
    aliases: tuple[str, ...] = ()

    @property
    def raw(self) -> RawFormat:
        return RawFormat(self.width, self.height, Fraction(self.rate))

    @property
    def frame_bytes(self) -> int:
        """Of 8-bit 4:2:0."""
        return self.width * self.height * 3 // 2

    def is_named(self, stem: str) -> bool:
        """Whether a file of this stem is it; a size in the stem must be right, or is missing."""
        said = re.match(r"(?P<name>.+?)(?:_(?P<width>\d+)x(?P<height>\d+).*)?$", stem)
        assert said is not None
        size = said["width"] is None or (int(said["width"]), int(said["height"])) == self.size
        names = {name.lower() for name in (self.name, self.stem, *self.aliases)}
        return size and said["name"].lower() in names

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height


def _of(group: str, size: tuple[int, int], *items: tuple[str, int, int]) -> tuple[Known, ...]:
    return tuple(Known(stem, group, stem, *size, rate, frames) for stem, rate, frames in items)


_HD, _C, _D, _E = (1920, 1080), (832, 480), (416, 240), (1280, 720)
_JCV_RATES = {24: (17, 21, 22, 23, 24, 25, 29), 25: (5, 6, 7, 8, 9, 18, 20)}  # the rest: 30


def _jcv(number: int) -> Known:
    rate = next((rate for rate, numbers in _JCV_RATES.items() if number in numbers), 30)
    stem = f"videoSRC{number:02}"
    return Known(stem, "MCL-JCV", stem, *_HD, rate, 5 * rate)


SETS: dict[str, tuple[Known, ...]] = {
    "uvg": (
        *_of("UVG", _HD, ("Beauty", 120, 600), ("Bosphorus", 120, 600), ("HoneyBee", 120, 600)),
        *_of("UVG", _HD, ("Jockey", 120, 600)),
        Known("ReadySetGo", "UVG", "ReadySetGo", *_HD, 120, 600, ("ReadySteadyGo",)),
        *_of("UVG", _HD, ("ShakeNDry", 120, 300), ("YachtRide", 120, 600)),
    ),
    "hevc": (
        *_of("HEVC B", _HD, ("BasketballDrive", 50, 500), ("BQTerrace", 60, 600)),
        *_of("HEVC B", _HD, ("Cactus", 50, 500)),
        Known("Kimono", "HEVC B", "Kimono1", *_HD, 24, 240),
        *_of("HEVC B", _HD, ("ParkScene", 24, 240)),
        *_of("HEVC C", _C, ("BasketballDrill", 50, 500), ("BQMall", 60, 600)),
        *_of("HEVC C", _C, ("PartyScene", 50, 500)),
        Known("RaceHorsesC", "HEVC C", "RaceHorses", *_C, 30, 300),
        *_of("HEVC D", _D, ("BasketballPass", 50, 500), ("BlowingBubbles", 50, 500)),
        *_of("HEVC D", _D, ("BQSquare", 60, 600)),
        Known("RaceHorsesD", "HEVC D", "RaceHorses", *_D, 30, 300),
        *_of("HEVC E", _E, ("FourPeople", 60, 600), ("Johnny", 60, 600)),
        *_of("HEVC E", _E, ("KristenAndSara", 60, 600)),
    ),
    "mcl-jcv": tuple(_jcv(number) for number in range(1, 31)),
}
KODAK = "kodak"
_KODAK_SIZES = ((768, 512), (512, 768))
_KODAK_COUNT = 24


def split_data(data: str) -> tuple[str, Path]:
    """The name of a set, "" for a plain folder, and the folder.

    >>> split_data("hevc:/data/HEVC")
    ('hevc', PosixPath('/data/HEVC'))
    >>> split_data("/data/x:y")
    ('', PosixPath('/data/x:y'))
    """
    name, colon, folder = data.partition(":")
    if colon and name.lower() in (*SETS, KODAK):
        return name.lower(), Path(folder)
    if colon and re.fullmatch(r"[\w-]{2,}", name) and not Path(data).exists():
        known = ", ".join(f"{one}:DIR" for one in (*SETS, KODAK))
        raise UsageError(f"{data}: no test set is called {name}; there are {known}, or DIR alone")
    return "", Path(data)


def sequences_of(
    data: str, names: Collection[str] | None = None, frames: int | None = None
) -> list[Sequence]:
    """What ``--data`` names: a set by its name ("uvg:DIR"), or any folder of videos ("DIR").

    Args:
        data: as the user says it.
        names: take these sequences only; None is all.
        frames: of each, use the first ones only.

    Raises:
        UsageError: a set or a file name that is not known.
        NotAVideo: a file whose length or picture size is not what its name says.
        FileMissing, OutOfRange: as sequences_in.
    """
    name, folder = split_data(data)
    if not name:
        return sequences_in(folder, names, frames)
    check_frames(frames)
    if not folder.is_dir():
        raise FileMissing(f"{folder}: is no folder; give the folder of {name}")
    found = _images(folder) if name == KODAK else _videos(name, folder, frames)
    by_name = {one.name: one for one in found}
    if missing := [one for one in names or () if one not in by_name]:
        there = ", ".join(by_name)
        raise FileMissing(f"{folder}: has no {', '.join(missing)}; there are {there}")
    return [one for one in found if names is None or one.name in names]


def _videos(name: str, folder: Path, frames: int | None) -> list[Sequence]:
    found: dict[Known, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in (*SUFFIXES, RAW) or not path.is_file():
            continue
        known = _known(name, path)
        if known in found:
            raise UsageError(f"{path}: {found[known]} is {known.name} too; keep one")
        _check_size(known, path)
        found[known] = path
    if not found:
        stems = ", ".join(f"{k.stem}_{k.width}x{k.height}_..." for k in SETS[name][:2])
        raise FileMissing(f"{folder}: found no file of {name} ({stems}; .yuv, .y4m, .mp4 ...)")
    return [
        Sequence(
            known.name,
            found[known],
            min(frames or known.frames, known.frames),
            known.group,
            known.raw if found[known].suffix.lower() == RAW else None,
        )
        for known in SETS[name]
        if known in found
    ]


def _known(name: str, path: Path) -> Known:
    fits = [known for known in SETS[name] if known.is_named(path.stem)]
    if len(fits) > 1:
        names = ", ".join(f"{k.stem}_{k.width}x{k.height}" for k in fits)
        raise UsageError(f"{path}: may be any of {names}; put the size into its name")
    if not fits:
        there = ", ".join(known.name for known in SETS[name])
        raise UsageError(f"{path}: is no name of {name}; there are {there}")
    return fits[0]


def _check_size(known: Known, path: Path) -> None:
    if path.suffix.lower() == RAW:
        size, frame = path.stat().st_size, known.frame_bytes
        if size not in (frame * known.frames, frame * (known.frames + 1)):
            raise NotAVideo(
                f"{path}: found {size} bytes ({size / frame:.2f} frames), expected "
                f"{frame * known.frames}: {known.frames} frames of {known.width}x{known.height}, "
                "8-bit 4:2:0"
            )
        return
    with open_video(path) as reader:
        if (found := (reader.info.width, reader.info.height)) != known.size:
            raise NotAVideo(f"{path}: found pictures of {found}, expected {known.size}")


def _images(folder: Path) -> list[Sequence]:
    found = []
    for path in sorted(folder.glob("*.png")):
        said = re.fullmatch(r"kodim(\d\d)", path.stem.lower())
        if said is None or not 1 <= int(said[1]) <= _KODAK_COUNT:
            raise UsageError(f"{path}: is no name of {KODAK}; there are kodim01 to kodim24")
        with open_video(path) as reader:
            if (size := (reader.info.width, reader.info.height)) not in _KODAK_SIZES:
                raise NotAVideo(f"{path}: found a picture of {size}, expected {_KODAK_SIZES[0]}")
        found.append(Sequence(path.stem, path, 1, "Kodak"))
    if not found:
        raise FileMissing(f"{folder}: found no kodim01.png to kodim24.png")
    return found
