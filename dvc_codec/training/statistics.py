"""What the entropy coder starts each group of pictures with, learned from training clips as the
encoder codes them, one after the other.

    python train.py statistics --data DATA --weights OLD.safetensors --out NEW.safetensors

Nothing else of the weights changes, to the bit.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dvc_codec.codec.frame_encoder import FrameEncoder
from dvc_codec.codec.model import Model, load_model
from dvc_codec.codec.order import MOST_BETWEEN, plan
from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.codec.symbols import StatisticsOfKinds
from dvc_codec.codec.temporal_filter import REACH
from dvc_codec.container import FrameKind
from dvc_codec.networks.p_frame import PFrameNetwork
from dvc_codec.networks.rate import RATES, lambda_at
from dvc_codec.training.clips import as_picture, load_some, split
from dvc_codec.training.filters import check_out, ship
from dvc_codec.video import Frame

# Observations that a counter starts with, at most: it is to learn from the video that is coded
# (docs/experiments.md#mixing)
MOST_SEEN = 64


@torch.inference_mode()
def learn(
    codec: PFrameCodec, clips: Sequence[Tensor] | Tensor, intra: str = "hevc", seed: int = 0
) -> StatisticsOfKinds:
    """Code every clip once, as one group at a rate of its own.

    Args:
        codec: with baked integers, on the CPU.
        clips: uint8 (frames, 3 H / 2, W) each, planar 4:2:0.
        intra: codec of the I frames.
        seed: of the rates.

    Returns:
        Of each kind of frame and each plane, what was learned by the end.
    """
    random = np.random.default_rng(seed)
    model = Model("statistics", bytes(32), codec)
    between = MOST_BETWEEN if codec.prior_between is not None else 0
    kinds = (FrameKind.P, FrameKind.B) if between else (FrameKind.P,)
    known = {kind: codec.prior_of(kind).statistics() for kind in kinds}
    network = codec.network
    displays = getattr(network, "displays", False)
    if isinstance(network, PFrameNetwork):
        network.displays = False  # what is shown changes no symbol, and takes time
    try:
        for clip in clips:
            rate = int(random.integers(RATES))
            encoder = FrameEncoder(model, lambda_at(rate), intra, len(clip), known)
            video = iter([Frame(as_picture(*split(p)), n) for n, p in enumerate(clip)])
            for one in plan(video, len(clip), scene_cuts=False, between=between, reach=REACH):
                encoder.encode(one.frame, one.place, around=one.around, group=one.group)
            known = {kind: encoder.statistics(kind) for kind in kinds}
    finally:
        if isinstance(network, PFrameNetwork):
            network.displays = displays
    return known


def begin_with(codec: PFrameCodec, known: StatisticsOfKinds, most: int = MOST_SEEN) -> None:
    """Let groups begin with these, as if no counter had seen more than so much."""
    for kind, planes in known.items():
        prior = codec.prior_of(kind)
        for name, statistics in planes.items():
            prior.set_statistics(name, statistics.forget(most))


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="train.py statistics",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="clips to learn from")
    parser.add_argument("--weights", type=Path, required=True, help="whose statistics are learned")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", help="of the model; by default the file's")
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--intra", default="vvc", help="codec of the I frames")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    check_out(given.out)
    model = load_model(given.weights)
    clips = load_some(given.data, given.clips, given.seed)
    begin_with(model.codec, learn(model.codec, clips.pictures, given.intra, given.seed))
    ship(
        model,
        model.codec,
        given.out,
        given.name,
        "other statistics",
        f"`train.py statistics`, {len(clips.numbers)} clips",
        "docs/experiments.md#mixing",
    )
