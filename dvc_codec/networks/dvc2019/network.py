"""The dvc2019 network, whole: :class:`dvc_codec.networks.interface.Network` of the paper's parts.

flow -> "motion" -> warp, U-Net -> "hyper", "residual" -> prediction + residual
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from dvc_codec.networks.config import Metric
from dvc_codec.networks.dvc2019.compensation import Compensation, compensate
from dvc_codec.networks.dvc2019.config import Dvc2019Config
from dvc_codec.networks.dvc2019.flow import FlowPyramid
from dvc_codec.networks.dvc2019.motion import MotionAutoencoder
from dvc_codec.networks.dvc2019.residual import HyperEncoder, ResidualAutoencoder
from dvc_codec.networks.interface import Latents
from dvc_codec.networks.planes import Planes, round_to_bytes

MOTION, HYPER, RESIDUAL = "motion", "hyper", "residual"  # planes of symbols, in coding order


@dataclass(frozen=True)
class Reference:
    """The last picture is all that the paper's decoder remembers."""

    picture: Planes
    shown: None = None

    def detach(self) -> "Reference":
        return Reference(self.picture.detach())


@dataclass(frozen=True)
class Prediction:
    """The motion-compensated reference, before and after the U-Net."""

    warped: Planes
    picture: Planes


class Dvc2019Network(nn.Module):
    """See the module. Rate indices are ignored: one model per lambda.

    Attributes:
        fast: ignored. GDN's squares and sums want float32.
        warp_gradients: as the interface says; on, or the flow network would not learn.
        displays: ignored. What is displayed is what the next frame is predicted from.
    """

    def __init__(self, config: Dvc2019Config | None = None) -> None:
        super().__init__()
        self.config = config or Dvc2019Config()
        self.fast = False
        self.warp_gradients = True
        self.displays = False
        self.metric: Metric = "mse"
        self.flow = FlowPyramid(self.config.flow)
        self.motion = MotionAutoencoder(self.config.motion)
        self.compensation = Compensation(self.config.compensation)
        self.residual = ResidualAutoencoder(self.config.residual, self.config.latents)
        self.hyper = HyperEncoder(self.config.latents, self.config.hyper)

    def start(self, picture: Planes) -> Reference:
        """The reference right after an I frame."""
        return Reference(picture)

    def ahead(self, reference: Reference, distance: int) -> Reference:
        """The same, however far."""
        return reference

    def between(
        self, past: Reference, future: Reference, to_past: int, to_future: int
    ) -> Reference:
        """Raises TypeError: the paper's network has no B frames."""
        raise TypeError("dvc2019 has no B frames")

    def motion_latents(
        self, current: Planes, reference: Reference, rate_index: Tensor
    ) -> dict[str, Latents]:
        """Encoder: "motion", (B, motion, H/16, W/16)."""
        flow = self.flow(reference.picture.luma, current.luma)
        return {MOTION: Latents(self.motion.analyse(flow))}

    def predict(
        self, reference: Reference, symbols: Mapping[str, Tensor], rate_index: Tensor
    ) -> Prediction:
        """Both sides: decoded motion symbols -> the prediction."""
        flow = self.motion.synthesise(symbols[MOTION])
        if not self.warp_gradients:
            flow, reference = flow.detach(), reference.detach()
        warped = compensate(reference.picture, flow)
        return Prediction(warped, self.compensation(warped, reference.picture, flow))

    def response(self, prediction: Prediction, rate_index: Tensor) -> None:
        """Unknown: errors count as the steps say."""

    def residual_latents(
        self,
        current: Planes,
        prediction: Prediction,
        rate_index: Tensor,
        response: None = None,
    ) -> dict[str, Latents]:
        """Encoder: "hyper" (B, hyper, H/64, W/64), "residual" (B, latents, H/16, W/16)."""
        latents = self.residual.analyse(current.minus(prediction.picture))
        return {HYPER: Latents(self.hyper(latents.abs())), RESIDUAL: Latents(latents)}

    def second_latents(
        self,
        current: Planes,
        prediction: Prediction,
        symbols: Mapping[str, Tensor],
        rate_index: Tensor,
        response: None = None,
    ) -> dict[str, Latents]:
        """Nothing: the paper's encoder looks once."""
        return {}

    def finish(
        self,
        reference: Reference,
        prediction: Prediction,
        symbols: Mapping[str, Tensor],
        rate_index: Tensor,
    ) -> Reference:
        """Both sides: decoded residual symbols -> the reconstruction."""
        residual = self.residual.synthesise(symbols[RESIDUAL])
        return Reference(round_to_bytes(prediction.picture.plus(residual)))
