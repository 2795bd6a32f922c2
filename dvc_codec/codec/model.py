"""Weights on disk: one safetensors file, named by its SHA-256, that says itself which network it
is for. No pickle.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.codec.registry import build, build_from, describe, read_config
from dvc_codec.errors import FileMissing, WrongModel
from dvc_codec.networks.blocks import use_channels_last
from dvc_codec.networks.config import Metric
from dvc_codec.networks.rate import ENCODER_TRADE

# dvc_codec/weights/<name>.safetensors
SHIPPED: Mapping[Metric, str] = {"mse": "dvc-14", "ms-ssim": "dvc-14-ms-ssim"}
# One entry, as safetensors writes several in an order that differs from time to time, and with it
# the SHA-256
METADATA = "dvc_codec"


@dataclass(frozen=True)
class Model:
    """Weights in memory.

    ``sha256`` is of the file's bytes: what a .dvc file names, and what decodes it.
    """

    name: str
    sha256: bytes
    codec: PFrameCodec


def weights_file(metric: Metric = "mse") -> Path:
    """The shipped weights for a metric."""
    return Path(str(files("dvc_codec"))) / "weights" / f"{SHIPPED[metric]}.safetensors"


def model_for(sha256: bytes) -> Model:
    """The shipped weights that a .dvc file names; those for squared errors where it names none of
    ours, for whoever compares to say so.
    """
    for metric in SHIPPED:
        path = weights_file(metric)
        with suppress(OSError):
            if hashlib.sha256(path.read_bytes()).digest() == sha256:
                return load_model(path)
    return load_model()


def load_model(path: Path | None = None, *, fast: bool | None = None) -> Model:
    """Read weights, by default the shipped ones for squared errors.

    Args:
        path: of a .safetensors file that :func:`save_model` wrote.
        fast: bfloat16 networks or not; by default wherever the processor has instructions for it.

    Raises:
        FileMissing, or WrongModel for a file that is not such weights.
    """
    source = path or weights_file()
    try:
        data = source.read_bytes()
    except OSError as error:
        raise FileMissing(f"{source}: cannot read the weights: {error.strerror}") from error
    try:
        with safe_open(source, "pt") as opened:
            said = json.loads((opened.metadata() or {})[METADATA])
        name, config = str(said["name"]), read_config(said["network"], said["config"])
        state = {k: v.float() if v.is_floating_point() else v for k, v in load(data).items()}
    except (SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise _not_ours(source, error) from error
    codec = build_from(config)  # outside of any try: what fails here is a mistake of the program
    try:
        codec.load_state_dict(state)
    except RuntimeError as error:  # tensors are missing, too many, or of another shape
        raise _not_ours(source, error) from error
    codec.network.fast = has_fast_bfloat16() if fast is None else fast
    codec.trade = ENCODER_TRADE
    return Model(name, hashlib.sha256(data).digest(), _for_use(codec))


def untrained_model(fast: bool = False) -> Model:
    """The codec as it is before training: motion search, DCT, formulas.

    Files of it name the SHA-256 of its name.
    """
    codec = build("dvc", {})
    codec.network.fast = fast
    return Model("untrained", hashlib.sha256(b"dvc-codec untrained 1").digest(), _for_use(codec))


def save_model(codec: PFrameCodec, path: Path, name: str) -> bytes:
    """Write weights as float16 (integers stay integers) and return the file's SHA-256.

    Bakes the prior's integers first. ``path`` has its name only when it is whole.
    """
    codec.bake()
    return write_weights(codec, path, name)


def write_weights(codec: PFrameCodec, path: Path, name: str) -> bytes:
    """:func:`save_model` of weights whose integers are baked: weights that are only added to keep
    them to the bit.
    """
    network, config = describe(codec)
    state: dict[str, Tensor] = {
        k: v.detach().half().contiguous() if v.is_floating_point() else v.contiguous()
        for k, v in codec.state_dict().items()
    }
    said = {"name": name, "network": network, "config": config}
    data = save(state, {METADATA: json.dumps(said, sort_keys=True)})
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return hashlib.sha256(data).digest()


@cache
def has_fast_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 in hardware (AVX512-BF16 or AMX) and oneDNN may
    use it.
    """
    return (
        bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and torch.cpu._is_avx512_bf16_supported()
    )


def fast_on(device: torch.device) -> bool:
    """Whether a device that networks are trained on multiplies bfloat16 in hardware."""
    cuda = device.type == "cuda"
    return torch.cuda.is_bf16_supported() if cuda else has_fast_bfloat16()


def _not_ours(source: Path, error: Exception) -> WrongModel:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return WrongModel(f"{source}: not weights of this program: {reason}")


def _for_use(codec: PFrameCodec) -> PFrameCodec:
    for parameter in codec.parameters():
        parameter.requires_grad_(False)
    use_channels_last(codec)
    codec.network.displays = True
    return codec.eval()
