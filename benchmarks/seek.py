"""What seeking costs at five places of a long file: time from opening it to the picture.

    python benchmarks/seek.py [--minutes 10] [--size 416x240]

The file is made of one group of pictures of a generated video, again and again with other numbers
and times: coding ten minutes would take hours, and to a decoder it is the same.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from dvc_codec.codec.decoder import Decoder
from dvc_codec.codec.encoder import encode_file
from dvc_codec.codec.model import load_model
from dvc_codec.container import Gop, Reader, Writer, display_number
from dvc_codec.video import Picture, VideoInfo, open_writer

GOP = 32


def long_file(folder: Path, width: int, height: int, minutes: float) -> Path:
    """A file of ``minutes`` at 25 frames a second."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    grey = np.full(((height + 1) // 2, (width + 1) // 2), 128, np.uint8)
    with open_writer(
        folder / "in.y4m", VideoInfo(width, height, Fraction(25), Fraction(1, 25))
    ) as writer:
        for t in range(GOP):
            luma = 128 + 60 * np.sin((x - 1.7 * t) / 9 + y / 15) + 20 * np.sin(x * y / 900 + t / 9)
            writer.write(Picture(luma.astype(np.uint8), grey, grey), t)
    encode_file(folder / "in.y4m", folder / "gop.dvc", lagrangian=256, gop=GOP, scene_cuts=False)
    with Reader(folder / "gop.dvc") as reader, Writer(folder / "long.dvc", reader.header) as out:
        gop = reader.read_gop(0)
        while out.frame_count < minutes * 60 * 25:
            first = out.frame_count
            frames = (
                replace(frame, pts=frame.pts + first, display_index=display_number(gop, n) + first)
                for n, frame in enumerate(gop.frames)
            )
            out.write_gop(Gop(first, tuple(frames)))
    return folder / "long.dvc"


def main() -> None:
    """Print a row for each place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--size", default="416x240")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    torch.set_num_threads(1)
    model = load_model()
    with tempfile.TemporaryDirectory() as name:
        path = long_file(Path(name), width, height, arguments.minutes)
        with Decoder(path, model) as decoder:
            frames = decoder.frame_count
        print(f"{frames} frames, {path.stat().st_size} bytes, groups of {GOP}, one thread")
        print("| at | frame | first of its group | 15 frames into it |\n|---|---|---|---|")
        for share in (0.0, 0.25, 0.5, 0.75, 0.999):
            first = int(share * (frames // GOP - 1)) * GOP
            cells = []
            for number in (first, first + 15):
                times = []
                for _ in range(3):
                    begun = time.monotonic()
                    with Decoder(path, model) as decoder:
                        assert len(list(decoder.frames(number, 1))) == 1
                    times.append(time.monotonic() - begun)
                cells.append(f"{1000 * min(times):.0f} ms")
            print(f"| {first / 25:.0f} s | {first} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
