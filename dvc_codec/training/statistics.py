"""What the entropy coder starts each group of pictures with, learned from training clips as the
encoder codes them, one after the other.

    python train.py statistics --data DATA --weights OLD.safetensors --out NEW.safetensors

Nothing else of the weights changes, to the bit. Coding clips is what takes long: with --keep FOLDER
their symbols are kept, and --symbols FOLDER, in place of --data, learns from them again, as after a
change of the entropy coder.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dvc_codec.codec.frame_encoder import FrameEncoder
from dvc_codec.codec.memory import SymbolMemory
from dvc_codec.codec.model import Model, load_model
from dvc_codec.codec.order import MOST_BETWEEN, plan
from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.codec.symbols import StatisticsOfKinds, write
from dvc_codec.codec.temporal_filter import REACH
from dvc_codec.container import FrameKind
from dvc_codec.networks.p_frame import PFrameNetwork
from dvc_codec.networks.rate import RATES, lambda_at
from dvc_codec.training.clips import as_picture, load_some, split
from dvc_codec.training.coded_clips import CodedClip, clip_files, kept, read_clip
from dvc_codec.training.filters import check_out, ship
from dvc_codec.video import Frame

# Observations that a counter starts with, at most: it is to learn from the video that is coded
# (docs/experiments.md#mixing)
MOST_SEEN = 64


@torch.inference_mode()
def code(
    codec: PFrameCodec, clips: Sequence[Tensor] | Tensor, intra: str = "hevc", seed: int = 0
) -> Iterator[CodedClip]:
    """Code every clip once, as one group at a rate of its own, each with the statistics that those
    before it leave.

    Args:
        codec: with baked integers, on the CPU.
        clips: uint8 (frames, 3 H / 2, W) each, planar 4:2:0.
        intra: codec of the I frames.
        seed: of the rates.
    """
    random = np.random.default_rng(seed)
    model = Model("statistics", bytes(32), codec)
    between = MOST_BETWEEN if codec.prior_between is not None else 0
    known = {kind: codec.prior_of(kind).statistics() for kind in _kinds(codec)}
    network = codec.network
    displays = getattr(network, "displays", False)
    if isinstance(network, PFrameNetwork):
        network.displays = False  # what is shown changes no symbol, and takes time
    try:
        for clip in clips:
            rate = int(random.integers(RATES))
            encoder = FrameEncoder(model, lambda_at(rate), intra, len(clip), statistics=known)
            video = [Frame(as_picture(*split(p)), n) for n, p in enumerate(clip)]
            coded = CodedClip((video[0].picture.height, video[0].picture.width), [])
            for one in plan(iter(video), len(clip), scene_cuts=False, between=between, reach=REACH):
                encoder.encode(one.frame, one.place, around=one.around, group=one.group)
                if one.place.past is not None:
                    coded.frames.append(encoder.sent)
            known = {kind: encoder.statistics(kind) for kind in known}
            yield coded
    finally:
        if isinstance(network, PFrameNetwork):
            network.displays = displays


@torch.inference_mode()
def learn(codec: PFrameCodec, clips: Iterable[CodedClip]) -> StatisticsOfKinds:
    """-> Of each kind of frame and each plane, what was learned by the end, from what the codec
    begins with on.
    """
    known: StatisticsOfKinds = {kind: codec.prior_of(kind).statistics() for kind in _kinds(codec)}
    for clip in clips:
        memory = SymbolMemory(codec, known)
        memory.begin(*clip.size)
        for frame in clip.frames:
            kind = frame.kind
            prior, before = codec.prior_of(kind), memory.statistics(kind)
            _, _, after = write(prior, before, *frame[1:4], memory.past(kind), frame.width)
            memory.add(kind, frame.sent, after)
        known = {kind: memory.statistics(kind) for kind in known}
    return known


def _kinds(codec: PFrameCodec) -> tuple[FrameKind, ...]:
    return (FrameKind.P,) if codec.prior_between is None else (FrameKind.P, FrameKind.B)


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
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="clips to learn from")
    source.add_argument("--symbols", type=Path, help="or symbols of clips that were coded before")
    parser.add_argument("--keep", type=Path, help="folder for symbols of --data's clips")
    parser.add_argument("--weights", type=Path, required=True, help="whose statistics are learned")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", help="of the model; by default the file's")
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--intra", default="vvc", help="codec of the I frames")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    check_out(given.out)
    model = load_model(given.weights)
    coded: Iterable[CodedClip]
    if given.symbols:
        paths = clip_files(given.symbols)
        count, coded = len(paths), map(read_clip, paths)
    else:
        clips = load_some(given.data, given.clips, given.seed)
        count = len(clips.numbers)
        coded = code(model.codec, clips.pictures, given.intra, given.seed)
        coded = kept(coded, given.keep) if given.keep else coded
    begin_with(model.codec, learn(model.codec, coded))
    ship(
        model,
        model.codec,
        given.out,
        given.name,
        "other statistics",
        f"`train.py statistics`, {count} clips",
        "docs/experiments.md#mixing",
    )
