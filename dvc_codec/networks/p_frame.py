"""The default P-frame network, whole: what encoder, decoder and training call, in the order they
call it.

    estimate flow -> motion latents -> [symbols] -> predict -> residual latents -> [symbols] ->
    finish

Everything learned starts as a correction that is zero, so the untrained network is a working codec:
motion search, DCT, closed-form steps (design.md, section 3). Where symbols are chosen is not
decided here.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor, nn

from dvc_codec.networks.blocks import plain
from dvc_codec.networks.compensation import Compensation, Context
from dvc_codec.networks.config import PFrameConfig
from dvc_codec.networks.flow import GRID, FlowEstimator
from dvc_codec.networks.motion import MotionAutoencoder
from dvc_codec.networks.planes import Planes, pack, round_to_bytes, unpack
from dvc_codec.networks.rate import centred, lagrangian, residual_scale
from dvc_codec.networks.residual import LoopFilter, ResidualAutoencoder
from dvc_codec.networks.warp import enlarge, warp, warp_overlapped

# planes of symbols, in coding order
MOTION, MOTION_DETAIL, LUMA, CHROMA = "motion", "motion_detail", "luma", "chroma"


@dataclass(frozen=True)
class Latents:
    """A plane's latents in quantiser steps, before rounding, and how much an error of each matters
    (1: as the step assumes).

    ``values`` may be a function of the symbols of the planes before, where these change what is
    left to send.
    """

    values: Tensor | Callable[[Mapping[str, Tensor]], Tensor]
    weight: Tensor | float = 1.0


@dataclass(frozen=True)
class Reference:
    """What the decoder remembers of the frames before: pictures on the 8-bit grid, the last flow,
    propagated features.
    """

    picture: Planes
    older: Planes  # the picture before ``picture``
    flow: Tensor  # (B, 2, H/4, W/4)
    features: Tensor  # (B, F, H/4, W/4)

    def detach(self) -> "Reference":
        return Reference(*(getattr(self, field.name).detach() for field in fields(self)))


@dataclass(frozen=True)
class Prediction:
    """The motion-compensated prediction and what later steps need of it."""

    warped: Planes
    packed: Tensor  # the predicted picture, (B, 24, H/4, W/4)
    context: Context
    flow: Tensor

    @cached_property
    def picture(self) -> Planes:
        """The predicted picture; the decoder has no need of it."""
        return unpack(self.packed)


class PFrameNetwork(nn.Module):
    """See the module.

    Attributes:
        fast: run the convolutional networks in bfloat16; transforms, warps and flow stay in
            float32.
        warp_gradients: let gradients through pictures and flow into earlier steps. Slow on a CPU;
            without them flow, motion transform and steps do not learn, and features only within a
            roll-out.
    """

    def __init__(self, config: PFrameConfig | None = None, fast: bool = False) -> None:
        super().__init__()
        self.config = config or PFrameConfig()
        self.fast = fast
        self.warp_gradients = False
        self.flow = FlowEstimator(self.config.flow)
        self.motion = MotionAutoencoder()
        self.compensation = Compensation(self.config)
        self.residual = ResidualAutoencoder(self.config)
        self.filter = LoopFilter(self.config)

    def _precision(self, device: torch.device) -> AbstractContextManager[object]:
        return torch.autocast(device.type, torch.bfloat16, enabled=self.fast)

    def start(self, picture: Planes) -> Reference:
        """The reference right after an I frame: nothing moved, nothing remembered."""
        b, _, h, w = picture.luma.shape
        flow = picture.luma.new_zeros(b, 2, h // 4, w // 4)
        features = picture.luma.new_zeros(b, self.config.features, h // 4, w // 4)
        return Reference(picture, picture, flow, features)

    def motion_latents(
        self, current: Planes, reference: Reference, rate_index: Tensor
    ) -> dict[str, Latents]:
        """Encoder: estimate the flow and transform what its prediction misses.

        "motion": (B, 2, H/16, W/16), "motion_detail": (B, 30, H/16, W/16).
        """
        expected = self.motion.predict(reference.flow)
        lam = lagrangian(rate_index)
        flow = self.flow(reference.picture.luma, current.luma, expected, lam)
        means, detail = self.motion.analyse(flow, expected, rate_index)

        def left(symbols: Mapping[str, Tensor]) -> Tensor:
            return detail - self.motion.expected_detail(symbols[MOTION], rate_index)

        weight = self.motion.weight(current.luma)
        details = torch.repeat_interleave(weight, detail.shape[1] // 2, 1)
        return {MOTION: Latents(means, weight), MOTION_DETAIL: Latents(left, details)}

    def predict(
        self, reference: Reference, symbols: Mapping[str, Tensor], rate_index: Tensor
    ) -> Prediction:
        """Both sides: decoded motion symbols -> the prediction."""
        expected = self.motion.predict(reference.flow)
        flow = self.motion.synthesise(symbols[MOTION], symbols[MOTION_DETAIL], expected, rate_index)
        if not self.warp_gradients:
            flow = flow.detach()
            pictures = reference.picture.detach(), reference.older.detach(), reference.flow.detach()
            reference = Reference(*pictures, reference.features)
        warped = _compensate(reference.picture, flow, "overlapped")
        # the motion of the frame before, fetched along this one: where the pixel was two frames ago
        older = _compensate(reference.older, flow + warp(reference.flow, flow), "bilinear")
        features = warp(reference.features, flow)
        with self._precision(flow.device):
            if self.fast:
                features = features.to(torch.bfloat16)
            packed, context = self.compensation(
                warped,
                older,
                reference.picture,
                features,
                flow,
                centred(rate_index),
                residual_scale(rate_index),
            )
        return Prediction(warped, packed, context, flow)

    def residual_latents(
        self, current: Planes, prediction: Prediction, rate_index: Tensor
    ) -> dict[str, Latents]:
        """Encoder: "luma" (B, 64, H/8, W/8) and "chroma" (B, 128, H/16, W/16)."""
        luma, chroma = self.residual.analyse(current.minus(prediction.picture), rate_index)
        with self._precision(prediction.flow.device):
            luma = luma + self.residual.learned(luma, prediction.context)
        return {LUMA: Latents(luma), CHROMA: Latents(chroma)}

    def finish(
        self,
        reference: Reference,
        prediction: Prediction,
        symbols: Mapping[str, Tensor],
        rate_index: Tensor,
    ) -> Reference:
        """Both sides: decoded residual symbols -> the reconstruction, as the next frame's
        reference.
        """
        luma, chroma = symbols[LUMA], symbols[CHROMA]
        residual = pack(self.residual.synthesise(luma, chroma, rate_index))
        with self._precision(residual.device):
            packed, features = self.filter(
                prediction.packed,
                residual,
                prediction.context,
                centred(rate_index),
                residual_scale(rate_index),
            )
        picture = round_to_bytes(unpack(packed))
        return Reference(picture, reference.picture, prediction.flow, plain(features))


def _compensate(picture: Planes, flow: Tensor, mode: Literal["bilinear", "overlapped"]) -> Planes:
    """Warp luma at full and chroma at half size by a flow on the 1/4 grid. Overlapped: luma along
    the motion of all cells around (docs/experiments.md#overlapped), chroma sharply.
    """
    half = GRID // 2  # the chroma planes' grid is half of luma's
    along = enlarge(flow, half)
    if mode == "overlapped":
        luma = warp_overlapped(picture.luma, flow, GRID)
        return Planes(luma, warp(picture.chroma, along, "sharp", half))
    luma = warp(picture.luma, enlarge(flow, GRID), mode, GRID)
    return Planes(luma, warp(picture.chroma, along, mode, half))
