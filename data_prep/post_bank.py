"""What the loop filter sees as training clips are coded, to train the post-filter behind it with.

    python -m data_prep.post_bank DATA OUT --weights W.safetensors --clips 300

DATA is the data set that will be trained on. Of each of so many clips the first ``--frames`` frames
are coded as one group, at a rate drawn for it, by the encoder itself. OUT gets one file per clip,
`clip-NNNN.safetensors`, 2 MB for each P or B frame of 448x256:

    prediction, residual  int16 (n, 24, h/4, w/4), packed planes in 1 / 16384
    quarter, eighth       bfloat16 (n, C, h/4, w/4), (n, C, h/8, w/8), the prediction's context
    steps                 float16 (n, 64, h/8, w/8), of weights for MS-SSIM only
    source                uint8 (n, 3 h / 2, w), planar 4:2:0
    rates                 int64 (n,), rate indices
"""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from dvc_codec.codec.frame_encoder import FrameEncoder
from dvc_codec.codec.model import Model, load_model
from dvc_codec.codec.order import plan
from dvc_codec.codec.temporal_filter import REACH
from dvc_codec.errors import WrongModel
from dvc_codec.networks.p_frame import PFrameNetwork
from dvc_codec.networks.planes import pack
from dvc_codec.networks.rate import lambda_at
from dvc_codec.training.clips import as_picture, load_some, split
from dvc_codec.training.post import PARTS
from dvc_codec.video import Frame

RATES = (18, 56)  # from, to (without)


def make_bank(
    data: Path,
    out: Path,
    model: Model,
    *,
    clips: int,
    frames: int = 9,
    intra: str = "vvc",
    seed: int = 1,
) -> int:
    """Code ``clips`` clips drawn from ``data`` and write what the filter saw. -> frames written.

    ``intra``: codec of the I frames. What the filter is to do follows from it: behind HEVC's there
    is more to gain, by MS-SSIM twice as much.
    """
    network = model.codec.network
    if not isinstance(network, PFrameNetwork):
        raise WrongModel("only weights of the network dvc have a post-filter")
    found = load_some(data, clips, seed)
    random = np.random.default_rng(seed)
    out.mkdir(parents=True, exist_ok=True)
    written = 0
    for number, planar in zip(found.numbers, found.pictures, strict=True):
        rate = int(random.integers(*RATES))
        seen = _coded(model, network, planar[:frames], lambda_at(rate), intra)
        path = out / f"clip-{number:04d}.safetensors"
        part = path.with_name(path.name + ".part")
        save_file(seen, part)
        os.replace(part, path)
        written += len(seen["rates"])
    return written


def _coded(
    model: Model, network: PFrameNetwork, planar: Tensor, lagrangian: float, intra: str
) -> dict[str, Tensor]:
    encoder = FrameEncoder(model, lagrangian, intra, gop=len(planar))
    video = iter([Frame(as_picture(*split(picture)), n) for n, picture in enumerate(planar)])
    rows: list[dict[str, Tensor]] = []
    with _watched(network) as seen:
        for one in plan(video, len(planar), scene_cuts=False, reach=REACH):
            coded = encoder.encode(one.frame, one.place, around=one.around, group=one.group)
            if not seen:
                continue  # an I frame
            prediction, residual = seen.pop()
            row = {
                "prediction": _numbers(prediction.packed),
                "residual": _numbers(residual),
                "quarter": prediction.context.quarter.bfloat16(),
                "eighth": prediction.context.eighth.bfloat16(),
                "source": planar[one.frame.pts][None],
                "rates": torch.tensor([coded.record.rate_index]),
            }
            if prediction.luma_steps is not None:
                row["steps"] = prediction.luma_steps.half()
            rows.append(row)
    return {name: torch.cat([row[name] for row in rows]).contiguous() for name in rows[0]}


@contextmanager
def _watched(network: PFrameNetwork) -> Iterator[list[tuple[Any, Tensor]]]:
    """Collect the prediction, and the packed residual, that the loop filter is given."""
    seen: list[tuple[Any, Tensor]] = []
    loop_filtered = network.loop_filtered

    def watched(prediction: Any, residual: Any, rate_index: Tensor) -> Any:
        seen.append((prediction, pack(residual)))
        return loop_filtered(prediction, residual, rate_index)

    network.loop_filtered = watched  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        del network.loop_filtered


def _numbers(packed: Tensor) -> Tensor:
    return (packed * PARTS).round().to(torch.int16)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--weights", type=Path, required=True, help="that code the clips")
    parser.add_argument("--clips", type=int, default=300, help="how many, drawn from DATA")
    parser.add_argument("--frames", type=int, default=9, help="of each, I frame and all")
    parser.add_argument("--intra", default="vvc", help="codec of the I frames, as of encode.py")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    written = make_bank(
        given.data,
        given.out,
        load_model(given.weights),
        clips=given.clips,
        frames=given.frames,
        intra=given.intra,
        seed=given.seed,
    )
    print(f"{given.out}: {written} frames")


if __name__ == "__main__":
    main()
