"""What an evaluation set holds, checked: name, size, rate, frames and SHA-256 of every sequence.

A manifest is JSON: {"set", "licence", "sequences": [{"name", "file", "width", "height",
"frame_rate", "frames", "sha256"}, ...]}.
"""

import argparse
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from dvc_codec.errors import DamagedFile, DvcError, FileMissing

MANIFEST = "manifest.json"
UNPACKED_ELSEWHERE = {".7z": "7z x", ".rar": "unrar x", ".gz": "tar xzf", ".bz2": "tar xjf"}
NAME = re.compile(r"(?P<name>.+?)_(?P<width>\d+)x(?P<height>\d+)_(?P<rate>\d+)(?:fps)?(?:_|\.|$)")


@dataclass(frozen=True)
class Sequence:
    """A raw 8-bit 4:2:0 file, or a picture (one frame)."""

    name: str
    file: str
    width: int
    height: int
    frame_rate: str
    frames: int
    sha256: str


@dataclass(frozen=True)
class Expected:
    """What a sequence of a set has to be: ``frames`` None: any number."""

    width: int
    height: int
    frame_rate: Fraction
    frames: int | None


def raw_sequence(path: Path, name: str, expected: Expected) -> Sequence:
    """A .yuv file whose bytes are whole frames, as many as expected. Raises DamagedFile."""
    one = expected.width * expected.height * 3 // 2
    size = path.stat().st_size
    frames, rest = divmod(size, one)
    where = f"{path}: {size} bytes of {expected.width}x{expected.height} 8-bit 4:2:0"
    if rest:
        raise DamagedFile(f"{where} are {frames} frames and {rest} bytes more; fetch it again")
    if expected.frames is not None and frames != expected.frames:
        raise DamagedFile(f"{where} are {frames} frames, expected {expected.frames}")
    return Sequence(
        name,
        path.name,
        expected.width,
        expected.height,
        str(expected.frame_rate),
        frames,
        sha256(path),
    )


def named(path: Path) -> tuple[str, Expected] | None:
    """Name, size and rate as in ``BasketballPass_416x240_50.yuv``; None without them."""
    found = NAME.match(path.name)
    if not found:
        return None
    rate = Fraction(int(found["rate"]))
    return found["name"], Expected(int(found["width"]), int(found["height"]), rate, None)


def unpack(folder: Path, suffix: str) -> None:
    """Unpack the zip files of a folder where the files in them are not there yet.

    Raises DamagedFile, or FileMissing for archives that Python cannot unpack, with the command.
    """
    for path in sorted(folder.iterdir()):
        if path.suffix == ".zip":
            try:
                with ZipFile(path) as archive:
                    for member in archive.infolist():
                        target = folder / Path(member.filename).name
                        if member.filename.endswith(suffix) and not target.exists():
                            part = target.with_name(target.name + ".part")
                            with archive.open(member) as source, part.open("wb") as out:
                                while block := source.read(1 << 22):
                                    out.write(block)
                            os.replace(part, target)
            except (BadZipFile, OSError) as error:
                raise DamagedFile(f"{path}: cannot be unpacked ({error})") from error
        elif path.suffix in UNPACKED_ELSEWHERE and not list(folder.glob(f"{path.stem}*{suffix}")):
            command = UNPACKED_ELSEWHERE[path.suffix]
            raise FileMissing(f"{path}: unpack it first: {command} {path.name}")


def sha256(path: Path) -> str:
    """Of the file, in hexadecimal."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            found.update(block)
    return found.hexdigest()


def write(folder: Path, of: str, licence: str, sequences: Iterable[Sequence]) -> Path:
    """-> the manifest, beside the data."""
    content = {"set": of, "licence": licence, "sequences": [asdict(s) for s in sequences]}
    part = folder / (MANIFEST + ".part")
    part.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(part, folder / MANIFEST)
    return folder / MANIFEST


def run(
    of: str,
    licence: str,
    suffix: str,
    read: Callable[[Path], Sequence],
    complete: frozenset[str],
    arguments: list[str] | None,
) -> int:
    """The command line of one set: unpack, check every file, write the manifest. -> exit code: 5
    where a file is not what it should be.

    Args:
        complete: names that the whole set has; what is missing is said and is no error.
    """
    parser = argparse.ArgumentParser(description=f"{of}: check, and write {MANIFEST}. {licence}")
    parser.add_argument("folder", type=Path, help=f"of the {suffix} files, or archives of them")
    folder: Path = parser.parse_args(arguments).folder
    good, bad = [], []
    try:
        if not folder.is_dir():
            raise FileMissing(f"{folder}: is no folder")
        unpack(folder, suffix)
        files = sorted(p for p in folder.iterdir() if p.suffix == suffix)
        if not files:
            raise FileMissing(f"{folder}: found no {suffix} file of {of}")
    except DvcError as error:
        print(f"{of}: {error}", file=sys.stderr)
        return error.exit_code
    for path in files:
        try:
            good.append(read(path))
        except DvcError as error:
            bad.append(error)
            print(f"{of}: {error}", file=sys.stderr)
    missing = sorted(complete - {s.name for s in good})
    if missing:
        print(f"missing: {', '.join(missing)}")
    if good:
        print(f"{write(folder, of, licence, good)}: {len(good)} sequences")
    return DamagedFile.exit_code if bad else 0
