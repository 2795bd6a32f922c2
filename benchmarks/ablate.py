"""What a change is worth, in minutes: short sequences, real payload bytes, in one process.

    python benchmarks/ablate.py --data ../shared/data/eval --out base.json
    python benchmarks/ablate.py --data ../shared/data/eval --against base.json \\
        --set dvc_codec.networks.flow.MARGIN=0.05

--model: "shipped" weights, a file of weights, a training checkpoint, or "untrained". Prints bits
per pixel, quality (--metric) and lambda D + R of every sequence and lambda, the mean change of the
last, and BD-rate where there are three lambdas or more. Payloads only: no container.
"""

import argparse
import ast
import importlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from dvc_codec.codec.frame_encoder import FrameEncoder, weighted_psnr
from dvc_codec.codec.model import Model, load_model, untrained_model
from dvc_codec.codec.order import MOST_BETWEEN, plan
from dvc_codec.codec.temporal_filter import REACH
from dvc_codec.evaluation.bdrate import bd_rate
from dvc_codec.evaluation.measures import as_decibels
from dvc_codec.evaluation.similarity import ssim_and_ms_ssim
from dvc_codec.networks.config import Metric
from dvc_codec.training.export import load_checkpoint
from dvc_codec.video import open_video

SEQUENCES = "BasketballPass:32,foliage:16,car:16"


@dataclass(frozen=True)
class Point:
    """One sequence at one lambda."""

    bits_per_pixel: float
    quality: float  # dB
    cost: float  # lambda D + R


def measure(
    model: Model,
    video: Path,
    frames: int,
    lagrangian: float,
    between: int,
    reach: int,
    metric: Metric = "mse",
    twice: bool = True,
) -> Point:
    """Code the first ``frames`` frames as one group, with at most so many B frames in a row, and
    anchors filtered with frames up to ``reach`` away. Quality is weighted PSNR, or MS-SSIM of luma
    as -10 log10(1 - x).
    """
    encoder = FrameEncoder(model, lagrangian, gop=frames, twice=twice)
    bits, pixels, errors, similar = 0, 0, [], []
    with open_video(video, frames=frames) as reader:
        for one in plan(iter(reader), frames, scene_cuts=False, between=between, reach=reach):
            coded = encoder.encode(one.frame, one.place, around=one.around, group=one.group)
            bits += sum(8 * len(payload) for payload in coded.record.payloads)
            pixels += one.frame.picture.y.size
            errors.append(coded.squared_error)
            if metric == "ms-ssim":
                similar.append(ssim_and_ms_ssim(one.frame.picture.y, coded.picture.y)[1])
    y, u, v = np.mean(errors, 0) / 255**2
    rate = bits / pixels
    quality = float(np.mean([weighted_psnr(e) for e in errors]))
    if similar:
        quality = as_decibels(float(np.mean(similar)))
    return Point(rate, quality, lagrangian * (6 * y + u + v) / 8 + rate)


def read_model(given: str) -> Model:
    """ "shipped", "untrained", or the path of weights or of a checkpoint (.ckpt)."""
    if given == "untrained":
        return untrained_model()
    if given.endswith(".ckpt"):
        return Model(given, bytes(32), load_checkpoint(Path(given)))
    return load_model(None if given == "shipped" else Path(given))


def change_constant(setting: str) -> None:
    """``package.module.NAME=literal``."""
    name, value = setting.split("=", 1)
    module, attribute = name.rsplit(".", 1)
    setattr(importlib.import_module(module), attribute, ast.literal_eval(value))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="shipped")
    parser.add_argument("--sequences", default=SEQUENCES, help="name:frames,...")
    parser.add_argument("--lambdas", default="256,512,1024,2048")
    parser.add_argument("--between", type=int, default=MOST_BETWEEN, help="most B frames in a row")
    parser.add_argument("--no-temporal-filter", action="store_true")
    parser.add_argument("--once", action="store_true", help="residuals are chosen once")
    parser.add_argument("--metric", choices=get_args(Metric), default="mse", help="of quality")
    parser.add_argument("--set", action="append", default=[], metavar="MODULE.NAME=VALUE")
    parser.add_argument("--against", type=Path, help="an earlier --out")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    for setting in given.set:
        change_constant(setting)
    model = read_model(given.model)
    before = json.loads(given.against.read_text()) if given.against else {}
    results: dict[str, list[list[float]]] = {}
    for name, frames in (s.split(":") for s in given.sequences.split(",")):
        rows = []
        for lagrangian in given.lambdas.split(","):
            p = measure(
                model,
                given.data / f"{name}.mp4",
                int(frames),
                float(lagrangian),
                given.between,
                0 if given.no_temporal_filter else REACH,
                given.metric,
                not given.once,
            )
            rows.append([p.bits_per_pixel, p.quality, p.cost])
        results[name] = rows
        line = f"{name:16s}" + "  ".join(f"{r:.4f} {q:.2f} {j:.4f}" for r, q, j in rows)
        if name in before:
            ratios = [math.log(a[2] / b[2]) for a, b in zip(rows, before[name], strict=True)]
            line += f"  lambda D + R {100 * math.expm1(np.mean(ratios)):+.2f} %"
            if len(rows) >= 3:
                curves = ([(r, q) for r, q, _ in points] for points in (before[name], rows))
                delta = bd_rate(*curves)
                line += (
                    f"  BD-rate {delta.value:+.2f} %" if delta.value is not None else delta.reason
                )
        print(line, flush=True)
    if given.out:
        given.out.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
