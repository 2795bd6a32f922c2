"""Which code, libraries and machine made a result."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import dvc_codec
from dvc_codec.checkout import commit
from dvc_codec.errors import DvcError
from dvc_codec.evaluation.anchors import ffmpeg

LIBRARIES = ("torch", "numpy", "av", "numba", "imageio-ffmpeg", "bjontegaard")


def provenance() -> dict[str, Any]:
    """Everything needed to make a result again, as JSON takes it."""
    return {
        "commit": commit(),
        "versions": {"python": platform.python_version(), **_libraries(), "ffmpeg": _ffmpeg()},
        "machine": {
            "system": platform.platform(),
            "processor": _processor(),
            "cores": os.cpu_count(),
        },
    }


def _libraries() -> dict[str, str | None]:
    found: dict[str, str | None] = {"dvc-codec": dvc_codec.__version__}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _ffmpeg() -> str | None:
    try:
        command = [ffmpeg(), "-version"]
    except DvcError:  # not installed: fine without anchors
        return None
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    return said.stdout.splitlines()[0].split(" Copyright")[0]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
