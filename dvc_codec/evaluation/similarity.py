"""How alike two pictures look: SSIM and MS-SSIM of luma, VMAF (FFmpeg's libvmaf)."""

import json
import subprocess
from pathlib import Path

import torch
from torch import Tensor

from dvc_codec.errors import DvcError
from dvc_codec.evaluation.anchors import ffmpeg
from dvc_codec.networks import similarity
from dvc_codec.video import Plane


def ssim(a: Plane, b: Plane) -> float:
    """Structural similarity of two planes, 1 where they are equal. Window: Gauss, sigma 1.5."""
    with torch.inference_mode():
        return float(similarity.ssim(_luma(a), _luma(b)))


def ssim_and_ms_ssim(a: Plane, b: Plane) -> tuple[float, float | None]:
    """The same, and over five scales; that is None for planes that are too small for it."""
    if min(a.shape) < similarity.SMALLEST:
        return ssim(a, b), None
    with torch.inference_mode():
        one, five = similarity.both(_luma(a), _luma(b))
    return float(one), float(five)


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


def _luma(plane: Plane) -> Tensor:
    """(1, 1, H, W), samples around zero."""
    return torch.from_numpy(plane)[None, None].to(torch.float32) / 255 - 0.5
