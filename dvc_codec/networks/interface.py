"""What a P-frame network is to the rest of the program: these calls, in this order.

    start(picture) -> reference                                       right after an I frame
    ahead(reference, distance) -> reference                           of a P frame so far ahead
    between(past, future, to_past, to_future) -> reference            of a B frame
    motion_latents(current, reference, rate_index) -> latents         encoder
    predict(reference, symbols, rate_index) -> prediction             both sides
    response(prediction, rate_index) -> response                      encoder, for some frames
    residual_latents(current, prediction, rate_index) -> latents      encoder
    second_latents(current, prediction, symbols, ...) -> latents      encoder, if it has time
    finish(reference, prediction, symbols, rate_index) -> reference   both sides

What a reference and a prediction hold besides pictures is the network's own affair: it gets back
what it gave. Implemented by ``networks.p_frame.PFrameNetwork`` and ``networks.dvc2019``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

from torch import Tensor

from dvc_codec.networks.config import Metric
from dvc_codec.networks.planes import Planes


@dataclass(frozen=True)
class Latents:
    """A plane's latents in quantiser steps, before rounding, and how much an error of each matters
    (1: as the step assumes).
    """

    values: Tensor
    weight: Tensor | float = 1.0


# By plane, in coding order; functions of the symbols of the planes before, where these change what
# is left to send
LatentsOfPlanes = Mapping[str, Latents | Callable[[Mapping[str, Tensor]], Latents]]


class Reference(Protocol):
    """What the decoder remembers of the frames before."""

    @property
    def picture(self) -> Planes:
        """The last reconstruction, on the 8-bit grid."""

    @property
    def shown(self) -> Planes | None:
        """What is displayed in its place, on the 8-bit grid; None: nothing else."""

    def detach(self) -> Self:
        """The same, without gradient."""


class Prediction(Protocol):
    """What is known of the current picture once its motion is decoded."""

    @property
    def warped(self) -> Planes:
        """The reference, motion compensated."""

    @property
    def picture(self) -> Planes:
        """The prediction."""


R = TypeVar("R", bound=Reference)
P = TypeVar("P", bound=Prediction)


class Network(Protocol[R, P]):
    """A P-frame network, a ``torch.nn.Module`` as well.

    Symbols and latents go by the name of their plane, in coding order, the same as in its prior.

    Attributes:
        fast: may compute in bfloat16 where that is quicker; a network may have nothing to gain.
        warp_gradients: let gradients through the motion compensation.
        metric: what its errors are to be weighed by.
        displays: make the pictures that are displayed, too; training has no need of them.
    """

    fast: bool
    warp_gradients: bool
    metric: Metric
    displays: bool

    def start(self, picture: Planes) -> R:
        """The reference right after an I frame."""

    def ahead(self, reference: R, distance: int) -> R:
        """The reference of a P frame ``distance`` frames on."""

    def between(self, past: R, future: R, to_past: int, to_future: int) -> Any:
        """The reference of a B frame so many frames away from each: taken by the calls below as
        one of a P frame is. Only of a network whose codec has a prior for B frames.
        """

    def motion_latents(self, current: Planes, reference: R, rate_index: Tensor) -> LatentsOfPlanes:
        """Encoder: what is sent of the motion, before rounding."""

    def predict(self, reference: R, symbols: Mapping[str, Tensor], rate_index: Tensor) -> P:
        """Both sides: motion symbols -> the prediction."""

    def response(self, prediction: P, rate_index: Tensor) -> Any:
        """Encoder: how much changes of the rest's symbols change the decoded picture, on this
        prediction of one picture; frames alike may share it.
        """

    def residual_latents(
        self, current: Planes, prediction: P, rate_index: Tensor, response: Any = None
    ) -> LatentsOfPlanes:
        """Encoder: what is sent of the rest, before rounding. ``response``: weighs errors."""

    def second_latents(
        self,
        current: Planes,
        prediction: P,
        symbols: Mapping[str, Tensor],
        rate_index: Tensor,
        response: Any,
    ) -> LatentsOfPlanes:
        """Encoder: the same once more, by what a decoder would make of ``symbols``, chosen for the
        first ones. No planes: these are as good as it gets.
        """

    def finish(
        self, reference: R, prediction: P, symbols: Mapping[str, Tensor], rate_index: Tensor
    ) -> R:
        """Both sides: all symbols -> the reconstruction, as the next frame's reference."""
