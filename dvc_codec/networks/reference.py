"""What the default network remembers of decoded frames, and what it predicts from."""

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from dvc_codec.networks.compensation import Context
from dvc_codec.networks.planes import Planes, unpack


@dataclass(frozen=True)
class Reference:
    """What the decoder remembers of a frame: pictures on the 8-bit grid, its flow, propagated
    features; how far from it the frame is that is to be predicted; and what is displayed, where
    that is another picture.
    """

    picture: Planes
    older: Planes  # what ``picture`` was predicted from
    flow: Tensor  # (B, 2, H/4, W/4), from ``picture`` to ``older``
    features: Tensor  # (B, F, H/4, W/4)
    span: Tensor  # (B, 1, 1, 1): frames from ``older`` to ``picture``
    distance: Tensor  # (B, 1, 1, 1): frames from ``picture`` to the one that is to be predicted
    shown: Planes | None = None

    def detach(self) -> "Reference":
        return Reference(
            self.picture.detach(),
            self.older.detach(),
            self.flow.detach(),
            self.features.detach(),
            self.span.detach(),
            self.distance.detach(),
        )

    @property
    def velocity(self) -> Tensor:
        """The flow per frame."""
        return self.flow / self.span


@dataclass(frozen=True)
class Between:
    """What a B frame is predicted from, and how many frames away that is."""

    past: Reference
    future: Reference
    to_past: int
    to_future: int

    @property
    def picture(self) -> Planes:
        return self.past.picture

    def detach(self) -> "Between":
        return Between(self.past.detach(), self.future.detach(), self.to_past, self.to_future)

    def mirrored(self, flow: Tensor) -> Tensor:
        """A flow to the past -> that to the future if motion is steady."""
        return flow * (-self.to_future / self.to_past)


@dataclass(frozen=True)
class Prediction:
    """The motion-compensated prediction and what later steps need of it."""

    warped: Planes
    packed: Tensor  # the predicted picture, (B, 24, H/4, W/4)
    context: Context
    flow: Tensor  # to the (past) reference
    luma_steps: Tensor | None = None  # (B, 64, H/8, W/8), factors; of weights for MS-SSIM

    @cached_property
    def picture(self) -> Planes:
        """The predicted picture; the decoder of weights for squared errors has no need of it."""
        return unpack(self.packed)
