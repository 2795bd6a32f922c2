"""Codecs whose networks matter, without any training."""

import numpy as np
import torch

from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.codec.registry import build
from dvc_codec.networks.config import Metric


def shaken(codec: PFrameCodec) -> PFrameCodec:
    """As training may leave it: every correction is something. -> ``codec``, changed."""
    torch.manual_seed(2)
    with torch.no_grad():
        for name, parameter in codec.named_parameters():
            if name.startswith(("prior.", "prior_between.")) and name.endswith("out.bias"):
                parameter.add_(15 * torch.randn_like(parameter) - 15)
            elif "transform" not in name and "luma." not in name and "chroma." not in name:
                parameter.add_(0.02 * torch.randn_like(parameter))
    codec.bake()
    return codec


def narrow(metric: Metric = "mse") -> PFrameCodec:
    """A small network whose every layer does something, the same for ever: its weights come from
    numpy's RandomState, whose numbers are frozen.
    """
    sizes = dict.fromkeys(("quarter", "eighth", "sixteenth", "features", "flow"), 4)
    codec = build("dvc", {**sizes, "metric": metric})
    numbers = np.random.RandomState(5)
    with torch.no_grad():
        # B frames' last: those of P frames came before them
        for name, parameter in sorted(codec.named_parameters(), key=lambda n: "between" in n[0]):
            if parameter.dim() == 4 and not name.endswith((".analysis", ".synthesis")):
                starts_at_zero = not parameter.any()
                spread = 0.02 if starts_at_zero else 0.7 * parameter[0].numel() ** -0.5
            elif name.endswith("expand.bias"):
                spread = 0.02
            else:  # transforms, steps, formulas: no chance in them
                continue
            drawn = spread * numbers.standard_normal(tuple(parameter.shape))
            parameter.copy_(torch.from_numpy(drawn))
    codec.bake()
    return codec
