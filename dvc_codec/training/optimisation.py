"""What is trained at which rate, the optimiser, the schedule, the running average."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.codec.registry import FILTERS

# Parts of names. Behind the gradient of the warp, or left where theory put them: trained only with
# network.warp_gradients.
FROZEN = ("flow.", "motion.steps", "motion.transform", "luma_steps", "chroma_steps")
# By commands of their own
APART = tuple(FILTERS.values())
# Transforms: they are nearly right
SLOW = ("luma.analysis", "luma.synthesis", "chroma.analysis", "chroma.synthesis")
# Logarithms of steps, which one Adam update moves by one learning rate whatever they are
QUICK = ("steps.log_",)
BETAS = (0.9, 0.99)


def parameter_groups(
    codec: PFrameCodec,
    learning_rate: float,
    *,
    slow: float = 0.1,
    quick: float = 10.0,
    freeze: tuple[str, ...] = (),
) -> list[dict[str, Any]]:
    """Trained parameters in groups, each with the ``scale`` of its rate; empty ones left out.

    What is not trained (``freeze``, parts of names; ``FROZEN`` and ``APART``) is told so: it has no
    gradient.
    """
    groups: dict[float, list[nn.Parameter]] = {1.0: [], slow: [], quick: []}
    for name, parameter in codec.named_parameters():
        left = () if codec.network.warp_gradients else FROZEN
        if any(part in name for part in (*APART, *left, *freeze)):
            parameter.requires_grad_(False)
            continue
        parameter.requires_grad_(True)
        scale = 1.0
        if any(part in name for part in SLOW):
            scale = slow
        elif any(part in name for part in QUICK):
            scale = quick
        groups[scale].append(parameter)
    return [
        {"params": params, "scale": scale, "lr": learning_rate * scale}
        for scale, params in groups.items()
        if params
    ]


def learning_rate_at(step: int, steps: int, first: float, last: float, warm_up: int) -> float:
    """Linear over ``warm_up`` steps, then a cosine from ``first`` to ``last``."""
    rising = min(1.0, (step + 1) / max(1, warm_up))
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, steps))))
    return rising * (last + (first - last) * cosine)


def average(ema: nn.Module, codec: nn.Module, decay: float, sound: Tensor) -> None:
    """ema <- decay * ema + (1 - decay) * codec, where ``sound`` (a tensor of one bool) is true;
    nothing waits to learn whether it is. Buffers are not trained.
    """
    share = (1 - decay) * sound
    with torch.no_grad():
        kept, new = _tensors(ema), _tensors(codec)
        if sound.device.type == "cpu":
            torch._foreach_lerp_(kept, new, float(share))
        else:
            moved = list(torch._foreach_sub(new, kept))
            torch._foreach_mul_(moved, share)
            torch._foreach_add_(kept, moved)


def _tensors(module: nn.Module) -> list[Tensor]:
    return list(module.parameters())


def adam(groups: list[dict[str, Any]]) -> torch.optim.AdamW:
    """The optimiser. Fused: it can be told on the device to leave out a step (:func:`update`)."""
    return torch.optim.AdamW(groups, weight_decay=0.0, betas=BETAS, fused=True)


def clip(trained: list[Tensor], largest: float) -> tuple[Tensor, Tensor]:
    """Scale gradients to a norm of at most ``largest``. -> (their norm before, whether it is
    finite), tensors that nothing has waited for.
    """
    norm = nn.utils.clip_grad_norm_(trained, largest)
    return norm, norm.isfinite()


def leave_out(optimiser: torch.optim.Optimizer, sound: Tensor) -> None:
    """Tell a fused optimiser that its next step is none, where ``sound`` is false."""
    optimiser.found_inf = (~sound).float()  # type: ignore[attr-defined]
