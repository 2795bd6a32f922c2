"""The HEVC common test conditions' classes B, C, D and E, 8-bit.

    python -m data_prep.hevc FOLDER

Files as they are published: BasketballPass_416x240_50.yuv.
"""

import sys
from fractions import Fraction
from pathlib import Path

from data_prep.manifest import Expected, Sequence, named, raw_sequence, run
from dvc_codec.errors import DamagedFile

LICENCE = "HEVC common test conditions (JCT-VC): for research and standardisation; ask its owners."
# name: width, height, rate, frames
SEQUENCES = {
    "Kimono": (1920, 1080, 24, 240),
    "ParkScene": (1920, 1080, 24, 240),
    "Cactus": (1920, 1080, 50, 500),
    "BQTerrace": (1920, 1080, 60, 600),
    "BasketballDrive": (1920, 1080, 50, 500),
    "RaceHorsesC": (832, 480, 30, 300),
    "BQMall": (832, 480, 60, 600),
    "PartyScene": (832, 480, 50, 500),
    "BasketballDrill": (832, 480, 50, 500),
    "RaceHorses": (416, 240, 30, 300),
    "BQSquare": (416, 240, 60, 600),
    "BlowingBubbles": (416, 240, 50, 500),
    "BasketballPass": (416, 240, 50, 500),
    "FourPeople": (1280, 720, 60, 600),
    "Johnny": (1280, 720, 60, 600),
    "KristenAndSara": (1280, 720, 60, 600),
}


def read(path: Path) -> Sequence:
    """One sequence. Raises DamagedFile."""
    found = named(path)
    name = found[0] if found else path.stem
    if name.startswith("Kimono"):
        name = "Kimono"
    if name == "RaceHorses" and found and found[1].width == 832:
        name = "RaceHorsesC"
    if name not in SEQUENCES:
        raise DamagedFile(f"{path}: is none of {', '.join(SEQUENCES)}")
    width, height, rate, frames = SEQUENCES[name]
    return raw_sequence(path, name, Expected(width, height, Fraction(rate), frames))


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return run("HEVC B-E", LICENCE, ".yuv", read, frozenset(SEQUENCES), arguments)


if __name__ == "__main__":
    sys.exit(main())
