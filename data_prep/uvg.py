"""UVG: the seven 1920x1080 sequences at 120 Hz, 8-bit, 600 frames each (ShakeNDry 300).

    python -m data_prep.uvg FOLDER

Files as they are published, Beauty_1920x1080_120fps_420_8bit_YUV.yuv, unpacked.
"""

import sys
from fractions import Fraction
from pathlib import Path

from data_prep.manifest import Expected, Sequence, raw_sequence, run
from dvc_codec.errors import DamagedFile

LICENCE = "UVG dataset (Ultra Video Group, Tampere University): CC BY-NC 3.0."
FRAMES = {
    "Beauty": 600,
    "Bosphorus": 600,
    "HoneyBee": 600,
    "Jockey": 600,
    "ReadySteadyGo": 600,
    "ShakeNDry": 300,
    "YachtRide": 600,
}
OTHER_NAMES = {"ReadySetGo": "ReadySteadyGo"}  # both are about


def read(path: Path) -> Sequence:
    """One sequence. Raises DamagedFile."""
    said = path.name.split("_")[0]
    name = OTHER_NAMES.get(said, said)
    if name not in FRAMES:
        raise DamagedFile(f"{path}: is none of {', '.join(FRAMES)}")
    return raw_sequence(path, name, Expected(1920, 1080, Fraction(120), FRAMES[name]))


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return run("UVG", LICENCE, ".yuv", read, frozenset(FRAMES), arguments)


if __name__ == "__main__":
    sys.exit(main())
