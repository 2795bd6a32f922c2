"""From a checkpoint to weights that ship: integers baked, statistics learned from training clips.

python train.py export --checkpoint runs/a/last.ckpt --data DATA --out NAME.safetensors
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from dvc_codec.codec.model import has_fast_bfloat16, save_model
from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.codec.registry import build, describe
from dvc_codec.errors import CannotWrite, OutOfRange, WrongModel
from dvc_codec.networks.config import Metric
from dvc_codec.networks.rate import ENCODER_TRADE, lambda_at
from dvc_codec.training.checkpoints import misfit, network_of, read, read_weights
from dvc_codec.training.clips import load_some
from dvc_codec.training.logs import data_hash
from dvc_codec.training.statistics import begin_with, code, learn
from dvc_codec.training.validation import cases_of_videos, measure_bytes

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
| statistics | learned from {clips} training clips |
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


def export(codec: PFrameCodec, clips: Tensor, out: Path, name: str) -> bytes:
    """Bake, learn (where there are clips), save. -> SHA-256 of the file."""
    codec.bake()
    if len(clips):
        begin_with(codec, learn(codec, code(codec, clips)))
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
    parser.add_argument("--data", type=Path, help="clips to learn statistics from; none: the law's")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", help="of the model; by default the file's")
    parser.add_argument("--network", help="dvc or dvc2019, where the checkpoint does not say")
    parser.add_argument("--clips", type=int, default=60, help="clips to learn from")
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
