"""I frames of training clips, coded beforehand: for machines that cannot code them, or train faster
than they can.

    python -m data_prep.intra_bank DATA OUT --each 2 --mib 24
    python -m data_prep.intra_bank DATA OUT --codec vvc --metric ms-ssim    # to train their filter

DATA is the data set that will be trained on (shards of data_prep.pack, say). OUT gets one file of
still pictures per rate, `intra-RR.mp4` with Y, U and V below each other in its luma plane, coded as
the encoder codes I frames there (by another codec than HEVC: as that gives them back, without
loss); and bank.csv: rate, clip, frame.
"""

import argparse
import csv
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from dvc_codec.intra import encode_for_lambda
from dvc_codec.intra.hevc import Hevc, encoder_options
from dvc_codec.networks.config import METRICS
from dvc_codec.networks.rate import lambda_at
from dvc_codec.training.clips import as_picture, load_clips, split
from dvc_codec.training.intra_frames import lambda_of_i_frame

RATES = tuple(range(2, 64, 4))  # of 0 to 63: no rate is further than 2 from one of them


def make_bank(
    data: Path,
    out: Path,
    *,
    each: int = 2,
    most_bytes: int | None = None,
    rates: tuple[int, ...] = RATES,
    seed: int = 1,
    codec: str = "hevc",
    structural: bool = False,
) -> int:
    """Code ``each`` I frames of every clip, each at one of the rates in turn, until ``most_bytes``
    are written. -> entries.

    ``codec``: of the stills, as ``--intra`` has them; ``structural``: coded for MS-SSIM.
    """
    found = load_clips(data)
    clips, frames = found.pictures.shape[:2]
    random = np.random.default_rng(seed)
    # By turns, so that every rate has its share of the clips wherever the bytes run out; the first
    # of a clip is its first frame, so that validation has whole sequences
    entries = [
        (rates[(clip + turn * (len(rates) // 2 + 1)) % len(rates)], clip, frame)
        for turn in range(each)
        for clip, frame in zip(
            random.permutation(clips),
            random.integers(0, frames, clips) if turn else [0] * clips,
            strict=True,
        )
    ]
    out.mkdir(parents=True, exist_ok=True)
    writers = {
        rate: _Stills(out / f"intra-{rate:02d}.mp4", rate, codec, structural) for rate in rates
    }
    rows, size = [], 0
    for rate, clip, frame in entries:
        size += writers[rate].write(found.pictures[clip, int(frame)])
        rows.append((rate, found.numbers[int(clip)], int(frame)))
        if most_bytes is not None and size > most_bytes:
            break
    for writer in writers.values():
        writer.close()
    part = out / "bank.csv.part"
    with part.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("rate", "clip", "frame"))
        table.writerows(rows)
    os.replace(part, out / "bank.csv")
    return len(rows)


class _Stills:
    """A file of intra pictures of one rate."""

    def __init__(self, path: Path, rate: int, codec: str, structural: bool) -> None:
        self._path, self._rate = path, rate
        self._codec, self._structural = codec, structural
        self._number = 0
        self._file: av.container.OutputContainer | None = None

    def write(self, planar: Tensor) -> int:
        """-> bytes."""
        rows, width = planar.shape
        if self._file is None:
            self._file = av.open(str(self._path), "w")
            stream = self._file.add_stream("libx265", rate=Fraction(30))
            stream.width, stream.height, stream.pix_fmt = width, rows, "yuvj420p"
            # x265 gives packets without times where it has fewer pictures than B frames to wait for
            lossless = "lossless=1:keyint=1:bframes=0:log-level=error"
            stream.options = {"x265-params": lossless, "preset": "veryfast"}
            if self._codec == Hevc.name:
                qp = Hevc().qp_for(lambda_of_i_frame(self._rate))
                stream.options = dict(encoder_options(qp))
            self._stream = stream
        if self._codec != Hevc.name:
            planar = self._coded(planar)
        grey = np.full((rows // 2, width), 128, np.uint8)
        whole = np.concatenate((planar.numpy(), grey))
        frame = av.VideoFrame.from_ndarray(whole, format="yuvj420p")
        frame.pts, self._number = self._number, self._number + 1
        return self._mux(frame)

    def _coded(self, planar: Tensor) -> Tensor:
        picture, lam = as_picture(*split(planar)), lambda_at(self._rate)
        _, _, decoded = encode_for_lambda(picture, lam, self._codec, structural=self._structural)
        flat = np.concatenate([plane.reshape(-1) for plane in decoded.planes])
        return torch.from_numpy(flat.reshape(planar.shape))

    def close(self) -> None:
        if self._file is not None:
            self._mux(None)
            self._file.close()

    def _mux(self, frame: av.VideoFrame | None) -> int:
        assert self._file is not None
        packets = self._stream.encode(frame)
        self._file.mux(packets)
        return sum(packet.size for packet in packets)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--each", type=int, default=2, help="I frames of every clip")
    parser.add_argument("--mib", type=float, help="stop at this size")
    parser.add_argument("--codec", default="hevc", help="of the stills: hevc, vvc, av1, auto, best")
    parser.add_argument("--metric", choices=METRICS, default="mse", help="that they are coded for")
    given = parser.parse_args()
    most = None if given.mib is None else int(given.mib * 2**20)
    entries = make_bank(
        given.data,
        given.out,
        each=given.each,
        most_bytes=most,
        codec=given.codec,
        structural=given.metric == "ms-ssim",
    )
    size = sum(path.stat().st_size for path in given.out.iterdir())
    print(f"{given.out}: {entries} I frames, {size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
