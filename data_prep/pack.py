"""A data set made small and readable without PyAV: for a machine with an accelerator and little
else.

    python -m data_prep.pack DATA OUT --clips 400 --crf 16

Clips are chosen evenly over the set. What comes out has gone through another lossy step: mind
--crf.
"""

import argparse
from pathlib import Path

import numpy as np

from data_prep.shards import PLANAR, ShardWriter
from dvc_codec.training.clips import load_clips


def pack(data: Path, out: Path, *, clips: int | None = None, crf: float = 12) -> int:
    """Write planar shards of ``clips`` clips of a data set (all by default). -> bytes written."""
    found = load_clips(data)
    count = len(found.numbers)
    chosen = np.unique(np.linspace(0, count - 1, min(clips or count, count)).round().astype(int))
    with ShardWriter(out, found.pictures.shape[1], crf=crf, layout=PLANAR) as writer:
        for number in chosen:
            writer.write(found.pictures[number].numpy(), {"source_clip": found.numbers[number]})
    return sum(path.stat().st_size for path in out.iterdir())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--clips", type=int, help="how many; all by default")
    parser.add_argument("--crf", type=float, default=12)
    given = parser.parse_args()
    size = pack(given.data, given.out, clips=given.clips, crf=given.crf)
    print(f"{given.out}: {size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
