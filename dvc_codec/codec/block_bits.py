"""Where the bits of a P frame went: about what its symbols cost by the statistics of the coder."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from dvc_codec.codec.costs import learned_costs
from dvc_codec.entropy.mixing import Statistics
from dvc_codec.entropy.prior import FramePrior, Symbols
from dvc_codec.entropy.scale import lifted

BLOCK = 16  # luma pixels of a side of a cell


def block_bits(
    prior: FramePrior,
    statistics: Mapping[str, Statistics],
    now: Symbols,
    sent: Symbols,
    lifts: Mapping[str, Sequence[int]],
    past: Symbols,
) -> dict[str, Tensor]:
    """Bits per block of 16x16 luma pixels of each plane, (H / 16, W / 16), with the padding.

    Args:
        prior: of the model.
        statistics: before the frame.
        now: its symbols as the network gets them.
        sent: as they were coded.
        lifts: how far each step's levels were lifted.
        past: magnitudes of what the frame before sent.
    """
    cost_of = learned_costs(statistics)
    found = {}
    for plane in prior.planes:
        name = plane.name
        values, coded, before = now[name], sent[name], past[name]
        scale, side = prior.scale(name), prior.side(name, sent, past)
        fine, known = torch.zeros_like(coded), torch.zeros_like(coded)
        height, width = coded.shape[-2:]
        values = values[..., :height, :width]
        for number, part in enumerate(scale.steps(height, width, coded.device)):
            _, levels = scale.step(number, before, side, coded * known, values * known)
            levels = lifted(levels, lifts[name][number])
            fine, known = part.put(fine, levels), part.put(known, torch.ones_like(levels))
        bits = cost_of(name, fine)(coded).sum(1, keepdim=True)
        found[name] = _on_blocks(bits, plane.stride)[0, 0]
    return found


def _on_blocks(bits: Tensor, stride: int) -> Tensor:
    if stride <= BLOCK:
        each = BLOCK // stride
        return F.avg_pool2d(bits, each) * each**2
    each = stride // BLOCK
    return bits.repeat_interleave(each, -1).repeat_interleave(each, -2) / each**2
