"""MCL-JCV: thirty 1920x1080 sequences of 24 to 30 Hz and 120 to 150 frames.

    python -m data_prep.mcl_jcv FOLDER

Files as they are published: videoSRC01_1920x1080_30.yuv.
"""

import sys
from dataclasses import replace
from pathlib import Path

from data_prep.manifest import Sequence, named, raw_sequence, run
from dvc_codec.errors import DamagedFile

LICENCE = "MCL-JCV (Media Communications Lab, USC): for research; cite its authors."
NAMES = frozenset(f"videoSRC{number:02d}" for number in range(1, 31))
FRAMES = range(120, 151)


def read(path: Path) -> Sequence:
    """One sequence. Raises DamagedFile."""
    found = named(path)
    if found is None or found[0] not in NAMES:
        raise DamagedFile(f"{path}: expected a name like videoSRC01_1920x1080_30.yuv")
    name, said = found
    sequence = raw_sequence(path, name, replace(said, width=1920, height=1080))
    if sequence.frames not in FRAMES:
        raise DamagedFile(f"{path}: {sequence.frames} frames, expected 120 to 150")
    return sequence


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return run("MCL-JCV", LICENCE, ".yuv", read, NAMES, arguments)


if __name__ == "__main__":
    sys.exit(main())
