"""What this machine is, and how fast it can convolve: the yardstick for every other number here."""

import os
import platform
import re
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from dvc_codec.codec.model import has_fast_bfloat16
from dvc_codec.networks.config import PFrameConfig

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")


@dataclass(frozen=True)
class Rate:
    """Speed of 3x3 convolutions, in billions of multiply-accumulates a second."""

    shape: str
    float32: float
    bfloat16: float


def describe() -> dict[str, object]:
    """Name, cores, flags, threads, versions."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    name = re.search(r"model name\s*:\s*(.*)", text)
    flags = re.search(r"flags\s*:\s*(.*)", text)
    words = flags[1].split() if flags else []
    return {
        "processor": name[1] if name else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "flags": [flag for flag in FLAGS if flag in words],
        "fast_bfloat16": has_fast_bfloat16(),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],  # above 0 before we start: others are at work here
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def convolution_rates(width: int, height: int, seconds: float = 0.5) -> list[Rate]:
    """3x3 convolutions of the networks' shapes for a video of ``width`` x ``height``."""
    config = PFrameConfig()
    width, height = width + -width % 64, height + -height % 64
    rates = []
    for channels, scale in ((config.quarter, 4), (config.eighth, 8), (config.sixteenth, 16)):
        h, w = height // scale, width // scale
        both = (
            _giga_macs(channels, h, w, dtype, seconds) for dtype in (torch.float32, torch.bfloat16)
        )
        rates.append(Rate(f"{channels} -> {channels} channels, {w}x{h}", *both))
    return rates


@torch.inference_mode()
def _giga_macs(channels: int, h: int, w: int, dtype: torch.dtype, seconds: float) -> float:
    layout = torch.channels_last
    x = torch.rand(1, channels, h, w).to(dtype).contiguous(memory_format=layout)
    weight = torch.rand(channels, channels, 3, 3).to(dtype).contiguous(memory_format=layout)
    bias = torch.zeros(channels, dtype=dtype)
    best, begun = float("inf"), time.perf_counter()
    while time.perf_counter() - begun < seconds:
        before = time.perf_counter()
        F.conv2d(x, weight, bias, padding=1)
        best = min(best, time.perf_counter() - before)
    return 9 * channels * channels * h * w / best / 1e9
