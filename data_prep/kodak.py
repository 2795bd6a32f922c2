"""Kodak: the 24 pictures, PNG, 768x512 or upright.

python -m data_prep.kodak FOLDER
"""

import struct
import sys
from pathlib import Path

from data_prep.manifest import Sequence, run, sha256
from dvc_codec.errors import DamagedFile

LICENCE = "Kodak Lossless True Color Image Suite: released by Eastman Kodak for unrestricted use."
NAMES = frozenset(f"kodim{number:02d}" for number in range(1, 25))


def read(path: Path) -> Sequence:
    """One picture. Raises DamagedFile."""
    if path.stem not in NAMES:
        raise DamagedFile(f"{path}: expected kodim01.png to kodim24.png")
    content = path.read_bytes()
    if content[:8] != b"\x89PNG\r\n\x1a\n" or not content[-12:].startswith(b"\0\0\0\0IEND"):
        raise DamagedFile(f"{path}: is no whole PNG; fetch it again")
    width, height = struct.unpack(">II", content[16:24])
    if {width, height} != {768, 512}:
        raise DamagedFile(f"{path}: is {width}x{height}, expected 768x512 or 512x768")
    return Sequence(path.stem, path.name, width, height, "0", 1, sha256(path))


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return run("Kodak", LICENCE, ".png", read, NAMES, arguments)


if __name__ == "__main__":
    sys.exit(main())
