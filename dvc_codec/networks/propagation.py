"""Motion of 8x8 cells by trying candidates at full size: what neighbours found, zero, what is
expected, what most of the picture does, and small steps. A candidate is judged on 24x24 pixels.

Coarse-to-fine matching goes wrong where detail repeats or is finer than its coarse pictures, and
never comes back: on `city` its prediction is 29.5 dB where neighbours that learn from each other
find 37.0. Each pass is a handful of comparisons of tensors, on every fourth pixel.

Source: Barnes et al., PatchMatch (SIGGRAPH 2009), made parallel; merge candidates of ITU-T
H.265.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from dvc_codec.networks import warp_kernels
from dvc_codec.networks.boxes import tile_means
from dvc_codec.networks.warp import SAMPLES, fetch, interleaved, is_compiled, smooth

CELL = 8  # luma pixels
SAMPLING = 2  # of every 2x2 pixels one is looked at; rows are staggered
ROUGHNESS = 0.6  # over lambda: squared error that a squared pixel beside the neighbours is worth
FAR = (8, 4, 2)  # cells from which neighbours' motion is taken over first
PARTS = 2**12  # of a pixel, in which motion is summed up
ROUGHEST = 2.0  # squared pixels beside the neighbours that count; whoever moves apart, may


class Propagation:
    """One picture's search.

    Args:
        samples: the reference's luma, its quarter samples (B, 1, 4, 4, H, W); H and W multiples of
            16.
        current: luma (B, 1, H, W).
        expected: (B, 2, H/8, W/8) in pixels: what costs nothing. Roughness is that of the distance
            from it.
        lagrangian: (B, 1, 1, 1), or (B, 1, H/8, W/8) where errors do not count alike.
    """

    def __init__(
        self, samples: Tensor, current: Tensor, expected: Tensor, lagrangian: Tensor
    ) -> None:
        self.samples = samples
        self.expected = expected
        self.roughness = ROUGHNESS / lagrangian
        h, w = current.shape[-2:]
        y = torch.arange(0, h, SAMPLING, device=current.device)
        x = torch.arange(0, w, SAMPLING, device=current.device)
        rows = y[:, None].expand(-1, len(x))
        columns = x[None] + (y[:, None] // SAMPLING % 2) * (SAMPLING // 2)
        self.whole, self.current = current.contiguous(), current[..., rows, columns]
        # where the pixels looked at are, and a pixel's length, from -1 to 1 across the samples
        self.unit = current.new_tensor([2 * SAMPLES / (SAMPLES * n - 1) for n in (w, h)])
        self.places = torch.stack((columns, rows), -1) * self.unit - 1

    def error(self, flow: Tensor) -> Tensor:
        """(B, 2, H/8, W/8) in pixels -> mean squared error of the window around each cell, (B, 1,
        H/8, W/8).
        """
        b, _, h, w = flow.shape
        if is_compiled(self.samples, self.whole, flow):
            errors = flow.new_empty(b, 1, h, w)
            parts = self.samples, self.whole, flow.contiguous(), errors
            for (planes,), (whole,), motion, (out,) in zip(*parts, strict=True):
                arrays = planes.numpy(), whole.numpy(), motion.numpy()
                warp_kernels.cell_errors(*arrays, CELL, SAMPLING, out.numpy())
            return smooth(errors)
        side = CELL // SAMPLING
        # in rows: adding numbers in twos, cell by cell, takes five times as long
        moves = (flow.permute(0, 2, 3, 1) * self.unit).repeat_interleave(side, 2)
        grid = self.places.view(1, h, side, w * side, 2) + moves[:, :, None]
        # the nearest sample: as good as a mean of four, for two thirds of the time
        error = fetch(interleaved(self.samples), grid.view(b, h * side, w * side, 2), "nearest")
        error = error.sub_(self.current)
        # the means of windows of three cells are means of cells' means
        return smooth(tile_means(error.square_(), side))

    def cost(self, flow: Tensor, error: Tensor, around: Tensor) -> Tensor:
        """Error and roughness: how far from ``around`` a flow is, less what is expected."""
        apart = (flow - self.expected - around).square().sum(1, keepdim=True)
        return error + self.roughness * apart.clamp(max=ROUGHEST)

    def best_of(
        self, flow: Tensor, error: Tensor, others: Iterable[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Per cell the cheapest of flow and others -> (flow, error)."""
        around = smooth(flow - self.expected)
        lowest = self.cost(flow, error, around)
        for other in others:
            its_error = self.error(other)
            its_cost = self.cost(other, its_error, around)
            better = its_cost < lowest
            flow = torch.where(better, other, flow)
            error = torch.where(better, its_error, error)
            lowest = torch.where(better, its_cost, lowest)
        return flow, error

    def search(self, flow: Tensor) -> Tensor:
        """(B, 2, H/8, W/8) in pixels, from anywhere -> the same, better."""
        zero = torch.zeros_like(flow)
        error = self.error(flow)
        flow, error = self.best_of(flow, error, (zero, self.expected))
        flow, error = self.best_of(flow, error, (most_common(flow),))
        for distance in FAR:
            for other in neighbours(flow, distance):
                flow, error = self.best_of(flow, error, (other,))
        for size, others in ((0.5, ()), (0.25, (self.expected,))):
            flow, error = self.best_of(flow, error, steps(flow, size))
            for distance in (2, 1):
                for other in neighbours(flow, distance):
                    flow, error = self.best_of(flow, error, (other,))
            flow, error = self.best_of(flow, error, (smooth(flow), *others))
        return flow


def steps(flow: Tensor, size: float) -> list[Tensor]:
    """The eight flows around it."""
    around = [(x, y) for y in (-size, 0, size) for x in (-size, 0, size) if x or y]
    return [flow + flow.new_tensor(step).view(1, 2, 1, 1) for step in around]


def neighbours(flow: Tensor, distance: int) -> list[Tensor]:
    """What the cells right, left, below and above have; the border repeated."""
    h, w = flow.shape[-2:]
    padded = F.pad(flow, (distance,) * 4, mode="replicate")
    places = ((1, 2), (1, 0), (2, 1), (0, 1))
    return [
        padded[..., y * distance : y * distance + h, x * distance : x * distance + w]
        for y, x in places
    ]


def most_common(flow: Tensor) -> Tensor:
    """Per picture the mean of the flows in the fullest half-pixel bin, everywhere. Summed up in
    whole numbers: what floats add up to depends on the number of threads.
    """
    bins = (flow * 2).round()
    key = (bins[:, 0] * 8192 + bins[:, 1]).flatten(1)
    members = key == key.mode(1, keepdim=True).values
    parts = (flow.flatten(2) * PARTS).round().long() * members[:, None]
    mean = parts.sum(2) / (PARTS * members.sum(1, keepdim=True))
    return mean[..., None, None].to(flow.dtype).expand_as(flow)
