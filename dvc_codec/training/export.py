"""From a checkpoint to weights that ship: integers baked, tables counted over training clips.

python -m dvc_codec.training.export --checkpoint runs/a/last.ckpt --data DATA --out NAME.safetensors
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dvc_codec.codec import symbols
from dvc_codec.codec.model import has_fast_bfloat16, save_model
from dvc_codec.codec.p_frame import PFrameCodec, code_frame, table_costs
from dvc_codec.codec.registry import build
from dvc_codec.entropy.tables import ONE, Counts, Tables
from dvc_codec.networks.planes import Planes, from_bytes
from dvc_codec.networks.rate import ENCODER_TRADE, lambda_at
from dvc_codec.training.clips import load_shards
from dvc_codec.training.intra_frames import hevc_intra

MOST_WEIGHT = 1024  # observations that a table starts with, at most (docs/experiments.md#tables)

CARD = """# {name}

| | |
|---|---|
| network | `{network}`, {parameters:,} parameters, float16; integers of the entropy model exact |
| SHA-256 | `{sha256}` |
| training | {step} steps of `dvc_codec.training.fit`, see docs/experiments.md |
| data | clips of public demonstration videos, for research use; none is shipped |
| tables | counted over {clips} training clips |
| measured | docs/benchmarks.md: real files, anchors in the same run |
| meant for | natural video, 8-bit 4:2:0, lambda 64 to 4096; trained for PSNR, not for the eye |
| licence | MIT, as the project |

A .dvc file names its weights by the SHA-256 above and is decoded with no others.
"""


def load_checkpoint(path: Path, network: str = "dvc") -> PFrameCodec:
    """The averaged weights of a checkpoint of :mod:`dvc_codec.training.fit`."""
    codec = build(network, {})
    codec.load_state_dict(torch.load(path, weights_only=True)["ema"])
    for parameter in codec.parameters():
        parameter.requires_grad_(False)
    codec.network.fast = has_fast_bfloat16()
    codec.trade = ENCODER_TRADE
    return codec.eval()


@torch.inference_mode()
def count_symbols(codec: PFrameCodec, clips: Tensor, seed: int = 0) -> dict[str, Counts]:
    """Code every clip once, each at a rate of its own, from one I frame on; count the symbols of
    all P frames by table. -> (tables, ALPHABET) counts per plane, in 1/65536 like the tables.
    """
    random = np.random.default_rng(seed)
    seen = {name: np.zeros_like(t.counts) for name, t in codec.prior.tables().items()}
    for clip in clips:
        rate = int(random.integers(64))
        luma, chroma = _planes(clip[0])
        state = codec.start(_batch(*hevc_intra(luma, chroma, lambda_at(rate))))
        tables: Mapping[str, Tables] = codec.prior.tables()
        for planar in clip[1:]:
            costs = table_costs(codec.prior, tables)
            coded = code_frame(
                codec, _batch(*_planes(planar)), state, torch.tensor([rate]), costs, estimate=False
            )
            collected = symbols.collect(codec.prior, coded.sent, coded.fine)
            adapted = symbols.adapt(tables, collected)
            for name in seen:
                seen[name] += adapted[name].counts - tables[name].counts
            tables, state = adapted, coded.state
    return seen


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
    """Bake, count, save. -> SHA-256 of the file."""
    codec.prior.bake()
    law = codec.prior.tables()
    for plane, seen in count_symbols(codec, clips).items():
        codec.prior.set_tables(plane, starting_tables(law[plane].counts, seen))
    return save_model(codec, out, name)


def _planes(planar: Tensor) -> tuple[Tensor, Tensor]:
    height = planar.shape[0] * 2 // 3
    return planar[:height], planar[height:].view(2, height // 2, planar.shape[1] // 2)


def _batch(luma: Tensor, chroma: Tensor) -> Planes:
    return from_bytes(luma[None, None], chroma[None])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", default="dvc-1")
    parser.add_argument("--network", default="dvc")
    parser.add_argument("--clips", type=int, default=60, help="clips to count symbols over")
    given = parser.parse_args()
    codec = load_checkpoint(given.checkpoint, given.network)
    clips = load_shards(given.data)
    chosen = np.random.default_rng(7).choice(len(clips), given.clips, replace=False)
    sha256 = export(codec, clips[torch.from_numpy(chosen)], given.out, given.name).hex()
    step = torch.load(given.checkpoint, weights_only=True)["step"]
    parameters = sum(p.numel() for p in codec.parameters())
    card = CARD.format(**vars(given), sha256=sha256, step=step, parameters=parameters)
    given.out.with_suffix(".md").write_text(card)
    print(sha256)


if __name__ == "__main__":
    main()
