"""How alike two pictures look: SSIM and MS-SSIM of luma (torchmetrics), VMAF (FFmpeg's libvmaf)."""

import json
import subprocess
from pathlib import Path

import torch
from torch import Tensor

from dvc_codec.errors import DvcError
from dvc_codec.evaluation.anchors import ffmpeg
from dvc_codec.video import Plane

SMALLEST = 176  # samples of width and height: an 11x11 window at the fifth scale


def ssim(a: Plane, b: Plane) -> float:
    """Structural similarity of two planes, 1 where they are equal. Window: Gauss, sigma 1.5."""
    try:
        from torchmetrics.functional.image import structural_similarity_index_measure as measure
    except ImportError as error:
        raise _missing() from error
    return _measured(measure(_as_batch(a), _as_batch(b), data_range=255.0))


def ms_ssim(a: Plane, b: Plane) -> float | None:
    """The same over five scales; None for planes smaller than SMALLEST in either direction."""
    try:
        from torchmetrics.functional.image import (
            multiscale_structural_similarity_index_measure as measure,
        )
    except ImportError as error:
        raise _missing() from error
    if min(a.shape) < SMALLEST:
        return None
    return _measured(measure(_as_batch(a), _as_batch(b), data_range=255.0))


def vmaf(source: Path, decoded: Path, work: Path) -> float:
    """VMAF (model vmaf_v0.6.1) of two y4m files with the same frames, 0 to 100, mean over frames.

    Args:
        source: relative to ``work``.
        decoded: relative to ``work``.
        work: a folder to write a log to.

    Raises DvcError where FFmpeg has no libvmaf, or fails.
    """
    graph = "[0:v]settb=AVTB,setpts=N[a];[1:v]settb=AVTB,setpts=N[b];[a][b]libvmaf="
    graph += "log_fmt=json:log_path=vmaf.json"
    command = [ffmpeg(), "-v", "error", "-i", str(decoded), "-i", str(source), "-lavfi", graph]
    done = subprocess.run(
        [*command, "-f", "null", "-"], cwd=work, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise DvcError(f"VMAF cannot be measured: {last}")
    said = json.loads((work / "vmaf.json").read_text())
    return float(said["pooled_metrics"]["vmaf"]["mean"])


def _as_batch(plane: Plane) -> Tensor:
    return torch.from_numpy(plane).to(torch.float32)[None, None]


def _measured(value: object) -> float:
    assert isinstance(value, Tensor)
    return float(value)


def _missing() -> DvcError:
    return DvcError("SSIM needs torchmetrics: pip install 'dvc-codec[eval]'")
