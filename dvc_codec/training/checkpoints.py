"""Checkpoints: written whole or not at all, read without pickle.

A folder of a run holds ``last.ckpt`` (weights, their average, optimiser, step) and, for every
process, ``pool-RANK-STEP.pt`` (sequences in progress and the state of chance), which only an exact
resume needs.
"""

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import CheckpointIO
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dvc_codec.errors import CannotWrite, DamagedFile, FileMissing

LAST = "last.ckpt"
Weights = dict[str, Tensor]


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Save tensors and plain values; ``path`` has its name only when it is whole and on the disk.

    Raises CannotWrite; what was there before is then as it was.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            torch.save(dict(content), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except (OSError, RuntimeError) as error:  # torch's writer says RuntimeError for a full disk
        part.unlink(missing_ok=True)
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CannotWrite(f"{path}: the checkpoint could not be written: {reason}") from error


def read(path: Path) -> dict[str, Any]:
    """The inverse of :func:`write`. Raises FileMissing or DamagedFile."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise FileMissing(f"{path}: cannot read the checkpoint: {error.strerror}") from error
    except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        said = (str(error).splitlines() or [""])[0]
        raise DamagedFile(f"{path}: not a checkpoint of this program ({said})") from error
    if not isinstance(content, dict):
        raise DamagedFile(f"{path}: found a {type(content).__name__}, expected a checkpoint")
    return content


def read_weights(path: Path) -> tuple[Weights, Weights]:
    """Weights and their average from a checkpoint of this trainer (or of its plain predecessor,
    with keys codec and ema), or from exported .safetensors, where both are the same.
    """
    if path.suffix == ".safetensors":
        try:
            loaded = load_file(path)
        except (OSError, SafetensorError) as error:
            raise FileMissing(f"{path}: cannot read the weights: {error}") from error
        whole = {k: v.float() if v.is_floating_point() else v for k, v in loaded.items()}
        return whole, whole
    content = read(path)
    if "codec" in content and "ema" in content:
        return content["codec"], content["ema"]
    if "state_dict" not in content:
        raise DamagedFile(f"{path}: found {', '.join(content) or 'nothing'}, expected weights")
    state: Mapping[str, Tensor] = content["state_dict"]
    return _under(state, "codec."), _under(state, "ema.")


def misfit(error: RuntimeError, most: int = 200) -> str:
    """What torch says of weights that do not fit, in a line of so many characters at most: it names
    every key that is missing.

    >>> misfit(RuntimeError("Error:\\n    Missing key(s): a, b, c"), 18)
    'Missing key(s): a…'
    """
    text = str(error).splitlines()[-1].strip()
    return text if len(text) <= most else text[: most - 1] + "…"


def network_of(path: Path) -> dict[str, Any]:
    """What a checkpoint says of its network: {"network": name, sizes...}; {} if it says nothing."""
    said: dict[str, Any] = read(path).get("network", {}) if path.suffix != ".safetensors" else {}
    return said


class AtomicIO(CheckpointIO):
    """Lightning's checkpoints through :func:`write` and :func:`read`."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        write(Path(path), checkpoint)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        return read(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        Path(path).unlink(missing_ok=True)


def _under(state: Mapping[str, Tensor], head: str) -> Weights:
    return {name[len(head) :]: t for name, t in state.items() if name.startswith(head)}
