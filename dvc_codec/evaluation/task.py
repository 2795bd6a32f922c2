"""One sequence at one point of one codec: encode, decode, measure, all through files.

    run_task(task, folder) -> Measured

Depends on nothing but the task, so that any engine can run it anywhere. As a program it is what
:mod:`dvc_codec.evaluation.engine` starts for every task: it prints the result as JSON.
"""

import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence as Several
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import dvc_codec
from dvc_codec.container import Reader
from dvc_codec.errors import DvcError
from dvc_codec.evaluation.anchors import anchor_named, ffmpeg
from dvc_codec.evaluation.frame_bits import packet_bits
from dvc_codec.evaluation.metrics import YUV, Quality, bits_per_pixel, compare_files
from dvc_codec.evaluation.sequences import Sequence
from dvc_codec.evaluation.similarity import vmaf
from dvc_codec.video import RawFormat, open_video, open_writer

OURS = "dvc-codec"
WORK = ".work"


@dataclass(frozen=True)
class Task:
    """What to measure.

    Args:
        sequence: the video.
        codec: OURS, or the name of an anchor.
        point: lambda of ours, CRF or QP of an anchor.
        gop: longest group of pictures.
        model: our weights; None is the shipped ones.
        extras: what to measure besides the planes' PSNR, of metrics.EXTRAS.
    """

    sequence: Sequence
    codec: str
    point: float
    gop: int
    model: Path | None = None
    extras: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.sequence.name} {self.codec} {self.point:g}"

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> "Task":
        said = json.loads(text)
        where = said.pop("sequence")
        raw = where.pop("raw")
        if raw:
            raw = RawFormat(**raw | {"frame_rate": Fraction(raw["frame_rate"])})
        model = said.pop("model")
        return cls(
            Sequence(**where | {"path": Path(where["path"]), "raw": raw}),
            model=Path(model) if model else None,
            extras=tuple(said.pop("extras")),
            **said,
        )


@dataclass(frozen=True)
class Measured:
    """What came of a task.

    Args:
        sequence: its name.
        codec: as in Task.
        point: as in Task.
        file_bytes: of the coded file.
        psnr: (6 Y + U + V) / 8 in dB, mean over frames.
        distortion: D of lambda D + R.
        frame_psnr: Y, U and V in dB of every frame.
        encode_fps: frames per second; of ours without the start of the program (Python and torch),
            which ``encode_seconds`` has. ``decode_fps`` likewise.
        encode_memory: most bytes resident; None where the system does not say.
        commands: as they ran, in a folder where source.y4m is the sequence's frames.
        pictures_sha256: of that source.y4m.
        coded: where the coded file is kept, relative to the results.
        details: what only one codec has to say: bits by part, weights, exactness.
        frame_bits: of every frame by part; ours in display order with "intra", "motion" and
            others, anchors in the order of the file with "all".
        rgb: PSNR of red, green and blue (BT.709) in dB, mean over frames; None if not measured.
        ssim: of luma, mean over frames; None if not measured.
        ms_ssim: of luma, mean over frames; None if not measured, or pictures are too small.
        vmaf: 0 to 100, mean over frames; None if not measured.
        group: class of the sequence, such as "HEVC B"; empty if it has none.
    """

    sequence: str
    codec: str
    point: float
    width: int
    height: int
    frames: int
    file_bytes: int
    bits_per_pixel: float
    y: float
    u: float
    v: float
    psnr: float
    distortion: float
    frame_psnr: tuple[YUV, ...]
    encode_seconds: float
    decode_seconds: float
    encode_fps: float
    decode_fps: float
    encode_memory: int | None
    decode_memory: int | None
    commands: tuple[str, ...]
    source: str
    pictures_sha256: str
    coded: str
    details: dict[str, Any] = field(default_factory=dict)
    frame_bits: tuple[dict[str, int], ...] = ()
    rgb: float | None = None
    ssim: float | None = None
    ms_ssim: float | None = None
    vmaf: float | None = None
    group: str = ""


@dataclass(frozen=True)
class Finished:
    """A command that ran: its words, seconds, most bytes resident, standard output."""

    command: list[str]
    seconds: float
    memory: int | None
    said: str


def run_task(task: Task, folder: Path) -> Measured:
    """Encode and decode in processes of their own, and measure the decoded file.

    Args:
        task: what to do.
        folder: keeps the coded file, under ``coded/``; all else is in a folder under WORK that is
            gone afterwards.

    Raises DvcError if a command fails or the decoded file is not comparable.
    """
    for name in (WORK, "coded"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder / WORK) as name:
        work = Path(name)
        source, decoded = work / "source.y4m", work / "decoded.y4m"
        write_source(task.sequence, source)
        if task.codec == OURS:
            coded = work / "coded.dvc"
            encoded, shown = _run_ours(task, work)
            details = _details_of_ours(coded, encoded, shown)
            bits = tuple(json.loads(encoded.said)["frame_bits"])
        else:
            anchor = anchor_named(task.codec)
            coded = work / f"coded{anchor.suffix}"
            encode = anchor.encode_command(
                Path(source.name), Path(coded.name), task.point, task.gop
            )
            encoded = run_command(encode, work)
            shown = run_command(anchor.decode_command(Path(coded.name), Path(decoded.name)), work)
            details, bits = {}, packet_bits(coded)
        quality = compare_files(source, decoded, extras=task.extras)
        looks = None
        if "vmaf" in task.extras:
            looks = vmaf(Path(source.name), Path(decoded.name), work)
        kept = f"coded/{task.label.replace(' ', '-')}{coded.suffix}"
        measured = _measured(task, quality, encoded, shown, coded, source, kept, details)
        measured = replace(measured, vmaf=looks, frame_bits=bits)
        coded.replace(folder / kept)
    return measured


def write_source(sequence: Sequence, target: Path) -> None:
    """The sequence's frames as a y4m, which is what every codec is given."""
    with (
        open_video(sequence.path, frames=sequence.frames, raw=sequence.raw) as reader,
        open_writer(target, reader.info) as writer,
    ):
        for frame in reader:
            writer.write(frame.picture, frame.pts)


def _run_ours(task: Task, work: Path) -> tuple[Finished, Finished]:
    """What `python encode.py` and `python decode.py` do, from wherever we are."""
    program = [sys.executable, "-m", "dvc_codec.cli.main"]
    common = ["--threads", "1", "--quiet", "--json"]
    common += ["--model", str(task.model.resolve())] if task.model else []
    settings = ["--lambda", f"{task.point:g}", "--gop", str(task.gop)]
    encoded = run_command([*program, "encode", "source.y4m", "coded.dvc", *settings, *common], work)
    return encoded, run_command([*program, "decode", "coded.dvc", "decoded.y4m", *common], work)


def _details_of_ours(coded: Path, encoded: Finished, shown: Finished) -> dict[str, Any]:
    encoder, decoder = json.loads(encoded.said), json.loads(shown.said)
    with Reader(coded) as reader:
        header = reader.header
    return {
        "bits": encoder["bits"],
        "gops": encoder["gops"],
        "bit_exact": decoder["bit_exact"],
        "encoder_seconds": encoder["seconds"],
        "decoder_seconds": decoder["seconds"],
        "model": header.model_name,
        "model_sha256": header.model_hash.hex(),
    }


def _measured(
    task: Task,
    quality: Quality,
    encoded: Finished,
    shown: Finished,
    coded: Path,
    source: Path,
    kept: str,
    details: dict[str, Any],
) -> Measured:
    size = coded.stat().st_size
    y, u, v = quality.plane_psnr
    with source.open("rb") as file:
        pictures = hashlib.file_digest(file, "sha256").hexdigest()
    return Measured(
        sequence=task.sequence.name,
        codec=task.codec,
        point=task.point,
        width=quality.width,
        height=quality.height,
        frames=quality.frames,
        file_bytes=size,
        bits_per_pixel=bits_per_pixel(size, quality.width, quality.height, quality.frames),
        y=y,
        u=u,
        v=v,
        psnr=quality.weighted_psnr,
        distortion=quality.distortion,
        frame_psnr=quality.frame_psnr,
        encode_seconds=encoded.seconds,
        decode_seconds=shown.seconds,
        encode_fps=quality.frames / details.get("encoder_seconds", encoded.seconds),
        decode_fps=quality.frames / details.get("decoder_seconds", shown.seconds),
        encode_memory=encoded.memory,
        decode_memory=shown.memory,
        commands=(_as_typed(encoded.command), _as_typed(shown.command)),
        source=str(task.sequence.path),
        pictures_sha256=pictures,
        coded=kept,
        details=details,
        rgb=_mean(quality.rgb),
        ssim=_mean(quality.ssim),
        ms_ssim=_mean(quality.ms_ssim),
        group=task.sequence.group,
    )


def _mean(values: tuple[float, ...]) -> float | None:
    return sum(values) / len(values) if values else None


def run_command(command: list[str], work: Path) -> Finished:
    """A command in ``work``. Output goes to files, as nobody empties pipes while we wait."""
    package = Path(dvc_codec.__file__).resolve().parents[1]
    path = os.pathsep.join(filter(None, (str(package), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        begun = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
        )
        memory = None
        if hasattr(os, "wait4"):
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        code = process.wait()
        seconds = time.monotonic() - begun
        out.seek(0)
        errors.seek(0)
        if code:
            last = (errors.read().strip().splitlines() or ["it said nothing"])[-1]
            raise DvcError(f"exit code {code} of `{_as_typed(command)}`: {last}")
        return Finished(command, seconds, memory, out.read())


def _as_typed(command: list[str]) -> str:
    """With the programs' names instead of this machine's paths to them."""
    names = {sys.executable: "python"}
    if "ffmpeg" in Path(command[0]).name:
        names[ffmpeg()] = "ffmpeg"
    return shlex.join(names.get(word, word) for word in command)


def main(arguments: Several[str] | None = None) -> int:
    """``python -m dvc_codec.evaluation.task TASK FOLDER``: the result as JSON, or one line."""
    task, folder = arguments or sys.argv[1:]
    try:
        measured = run_task(Task.from_json(task), Path(folder))
    except DvcError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(json.dumps(asdict(measured)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
