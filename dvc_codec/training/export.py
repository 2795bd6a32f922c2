"""From a checkpoint to weights that ship: integers baked, tables counted over training clips.

python train.py export --checkpoint runs/a/last.ckpt --data DATA --out NAME.safetensors
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dvc_codec.codec import symbols
from dvc_codec.codec.importance import Errors, of_frame, rate_of_frame
from dvc_codec.codec.memory import PictureMemory, SymbolMemory
from dvc_codec.codec.model import has_fast_bfloat16, save_model
from dvc_codec.codec.order import DISTANCES
from dvc_codec.codec.p_frame import PFrameCodec, State, code_frame, table_costs
from dvc_codec.codec.registry import build, describe
from dvc_codec.container import FrameKind, group_order
from dvc_codec.entropy.tables import ONE, Counts
from dvc_codec.errors import CannotWrite, OutOfRange, WrongModel
from dvc_codec.networks.config import Metric
from dvc_codec.networks.planes import Planes
from dvc_codec.networks.rate import ENCODER_TRADE, lambda_at
from dvc_codec.training.checkpoints import misfit, network_of, read, read_weights
from dvc_codec.training.clips import load_some, split
from dvc_codec.training.crops import batch, whole
from dvc_codec.training.intra_frames import as_shown, hevc_intra
from dvc_codec.training.logs import data_hash
from dvc_codec.training.validation import cases_of_videos, measure_bytes

MOST_WEIGHT = 1024  # observations that a table starts with, at most (docs/experiments.md#tables)

TRAINED_FOR: Mapping[Metric, str] = {
    "mse": "PSNR, not for the eye",
    "ms-ssim": "MS-SSIM of luma; PSNR is a decibel or two lower at the same bits",
}
CARD = """# {name}

| | |
|---|---|
| network | `{network}`, {parameters:,} parameters, float16; integers of the entropy model exact |
| SHA-256 | `{sha256}` |
| training | {step} steps in its last stage (docs/training.md), {skipped} of them left out |
| data | `{data}`, {data_sha256} |
| tables | counted over {clips} training clips |
| measured | {measured} |
| meant for | natural video, 8-bit 4:2:0, lambda 64 to 4096; trained for {trained_for} |
| licence | MIT, as the project |

A .dvc file names its weights by the SHA-256 above and is decoded with no others.
"""


def load_checkpoint(path: Path, network: str | None = None) -> PFrameCodec:
    """The averaged weights of a checkpoint.

    ``network``: where the checkpoint does not say which it is of; "dvc" by default.
    """
    said = network_of(path)
    name = network or str(said.pop("network", "dvc"))
    said.pop("network", None)
    codec = build(name, said)
    try:
        codec.load_state_dict(read_weights(path)[1])
    except RuntimeError as error:
        raise WrongModel(f"{path}: not weights of the network {name}: {misfit(error)}") from error
    for parameter in codec.parameters():
        parameter.requires_grad_(False)
    codec.network.fast = has_fast_bfloat16()
    codec.trade = ENCODER_TRADE
    return codec.eval()


@torch.inference_mode()
def count_symbols(
    codec: PFrameCodec, clips: Tensor, seed: int = 0
) -> dict[FrameKind, dict[str, Counts]]:
    """Code every clip once, each at a rate and with a distance of anchors of its own, from one I
    frame on; count the symbols of all P and B frames by table. -> (tables, ALPHABET) counts per
    kind and plane, in 1/65536 like the tables.
    """
    random = np.random.default_rng(seed)
    seen: dict[FrameKind, dict[str, Counts]] = {}
    pictures, memory = PictureMemory(codec), SymbolMemory(codec)
    distances = DISTANCES if codec.prior_between else (1,)
    for clip in clips:
        rate, distance = int(random.integers(64)), int(random.choice(distances))
        first, *others = group_order(len(clip), distance)
        errors: dict[FrameKind, Errors] = {}
        still = batch([hevc_intra(*split(clip[first.number]), lambda_at(rate))])
        pictures.begin(as_shown(codec, still, torch.tensor([rate])))
        memory.begin(clip.shape[1] * 2 // 3, clip.shape[2])
        for place in others:
            kind = FrameKind.P if place.future is None else FrameKind.B
            prior, tables = codec.prior_of(kind), memory.tables(kind)
            about = place, distance, len(clip)
            coded = code_frame(
                codec,
                whole(clip[place.number]),
                State(pictures.of(place), memory.past(FrameKind.P), memory.past(FrameKind.B)),
                rate_of_frame(*about, torch.tensor([rate])),
                table_costs(prior, tables),
                importance=of_frame(
                    *about, errors.get(kind, errors.get(FrameKind.P)), codec.network.metric
                ),
                estimate=False,
            )
            collected = symbols.collect(prior, coded.sent, coded.fine, coded.lifts)
            adapted = symbols.adapt(tables, collected)
            counts = seen.setdefault(kind, {})
            for name, table in tables.items():
                counts[name] = counts.get(name, 0) + adapted[name].counts - table.counts
            memory.add(kind, coded.sent, adapted)
            pictures.add(place, coded.state.reference)
            errors[kind] = _errors(coded.state.reference.picture, whole(clip[place.number]))
    return seen


def _errors(a: Planes, b: Planes) -> Errors:
    """Mean squared errors of Y, U, V in squared 8-bit levels, of one picture."""
    luma = (a.luma - b.luma).square().mean()
    u, v = (a.chroma - b.chroma).square().mean((0, 2, 3))
    return 255**2 * float(luma), 255**2 * float(u), 255**2 * float(v)


def starting_tables(law: Counts, seen: Counts, most_weight: int = MOST_WEIGHT) -> Counts:
    """What a table starts with: the law's counts and what was seen, worth ``most_weight``
    observations at most.
    """
    total = (law + seen).astype(np.float64)
    weight = total.sum(1, keepdims=True) / ONE
    scaled = total * np.minimum(1, most_weight / weight)
    counts: Counts = np.maximum(np.rint(scaled), 1).astype(np.int64)
    return counts


def export(codec: PFrameCodec, clips: Tensor, out: Path, name: str) -> bytes:
    """Bake, count (where there are clips), save. -> SHA-256 of the file."""
    codec.bake()
    if not len(clips):
        return save_model(codec, out, name)
    for kind, planes in count_symbols(codec, clips).items():
        prior = codec.prior_of(kind)
        law = prior.tables()
        for plane, seen in planes.items():
            prior.set_tables(plane, starting_tables(law[plane].counts, seen))
    return save_model(codec, out, name)


def measure(
    codec: PFrameCodec, videos: Path, frames: int = 32, rates: tuple[int, ...] = (21, 42)
) -> str:
    """A line of the card: real payload bytes on the start of every video of a folder."""
    said = []
    for rate in rates:
        rows = [measure_bytes(codec, case) for case in cases_of_videos(videos, frames, [rate])]
        mean = {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
        said.append(
            f"lambda {lambda_at(rate):.0f}: {mean['bytes_bits_per_pixel']:.4f} bits per pixel, "
            f"{mean['bytes_psnr']:.2f} dB"
        )
    return f"mean over the {len(rows)} videos of {videos.name}, {frames} frames: {'; '.join(said)}"


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="train.py export", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="clips to count tables over; none: the law's")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", help="of the model; by default the file's")
    parser.add_argument("--network", help="dvc or dvc2019, where the checkpoint does not say")
    parser.add_argument("--clips", type=int, default=60, help="clips to count symbols over")
    parser.add_argument("--measure", type=Path, help="folder of videos to measure for the card")
    given = parser.parse_args(arguments)
    if given.out.suffix != ".safetensors":
        raise OutOfRange(f"{given.out}: weights are .safetensors")
    codec = load_checkpoint(given.checkpoint, given.network)
    name = given.name or given.out.stem
    clips = torch.empty(0)
    if given.data is not None:
        clips = load_some(given.data, given.clips, seed=7).pictures
    try:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        sha256 = export(codec, clips, given.out, name).hex()
    except OSError as error:
        raise CannotWrite(f"{given.out}: {error.strerror}") from error
    measured = "not by this export (--measure VIDEOS does)"
    if given.measure is not None:
        measured = measure(codec, given.measure)
    kept = read(given.checkpoint)
    card = CARD.format(
        name=name,
        network=describe(codec)[0],
        clips=len(clips),
        sha256=sha256,
        step=kept["step"],
        skipped=kept["skipped"],
        trained_for=TRAINED_FOR[codec.network.metric],
        parameters=sum(p.numel() for p in codec.parameters()),
        data=given.data or "not said",
        data_sha256=f"SHA-256 of its index {data_hash(given.data)}" if given.data else "",
        measured=measured,
    )
    given.out.with_suffix(".md").write_text(card)
    print(sha256)


if __name__ == "__main__":
    main()
