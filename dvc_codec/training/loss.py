"""The loss: lambda D + R, per sample, over a roll-out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dvc_codec.codec.importance import of_frame, rate_of_frame
from dvc_codec.codec.memory import reference_of
from dvc_codec.codec.p_frame import Coded, PFrameCodec, State, code_frame
from dvc_codec.container import group_order
from dvc_codec.networks.config import Metric
from dvc_codec.networks.distortion import distortion, structural_distortion
from dvc_codec.networks.planes import Planes
from dvc_codec.networks.rate import lagrangian

# What Measured.values holds, in order
COLUMNS = ("rd", "motion", "residual", "psnr_warped", "psnr_predicted", "psnr")
MOTION = "motion"  # planes whose name begins like this are motion's


@dataclass(frozen=True)
class Loss:
    """What is minimised: (lambda D + R) / sqrt(lambda), so that no rate dominates.

    Attributes:
        prediction: share of the prediction's distortion that is added.
        warp: share of the warped reference's distortion that is added; it reaches what is learned
            only with gradients through the warp.
        metric: D. "mse": (6 MSE_Y + MSE_U + MSE_V) / 8; "ms-ssim": with (1 - MS-SSIM of Y) / 30 in
            place of MSE_Y.
        frames: weight of lambda D per P frame of the roll-out, by its number in display order,
            repeated: a hierarchy of qualities. B frames have 1.
        distances: of anchors (I and P frames) in a roll-out, one a step, in turn; more than 1: with
            B frames between.
        through_time: let gradients of later frames reach earlier ones through the state.
    """

    prediction: float = 0.1
    warp: float = 0.0
    metric: Metric = "mse"
    frames: Sequence[float] = (1.0,)
    through_time: bool = True
    distances: Sequence[int] = (1,)


@dataclass
class Measured:
    """Means over a roll-out and a batch. Reading a number waits for the device; ``values`` doesn't.

    Attributes:
        loss: with gradient.
        values: (6,) as in ``COLUMNS``: lambda D + R, bits per luma pixel of motion and of the rest,
            PSNR (of the mean D) of warped reference, prediction and reconstruction.
    """

    loss: Tensor
    values: Tensor

    @property
    def rd(self) -> float:
        return float(self.values[0])

    @property
    def motion(self) -> float:
        return float(self.values[1])

    @property
    def residual(self) -> float:
        return float(self.values[2])

    @property
    def psnr(self) -> float:
        return float(self.values[5])

    def numbers(self) -> list[float]:
        """All but the loss, in the order of ``COLUMNS``."""
        return [float(v) for v in self.values]


def rollout_loss(
    codec: PFrameCodec,
    pictures: list[Planes],
    state: State,
    rate: Tensor,
    prediction_weight: float = 0.0,
    loss: Loss | None = None,
    distance: int = 1,
    following: int = 0,
) -> tuple[Measured, State]:
    """Code ``pictures`` from ``state`` on. -> what came of it, and the state after the last.

    ``prediction_weight`` is that of a :class:`Loss` with nothing else said; ``distance``: from one
    anchor to the next, with B frames between. Those have the encoder's rates and importance, of
    frames with so many ``following`` in their group.
    """
    what = loss or Loss(prediction=prediction_weight)
    metric = distortion if what.metric == "mse" else structural_distortion
    losses, rows = [], []
    known = {0: state.reference}
    for place in group_order(len(pictures) + 1, distance)[1:]:
        assert place.past is not None
        picture = pictures[place.number - 1]
        if distance > 1:
            reference = reference_of(codec.network, known, place)
            about = place, distance, len(pictures) + 1 + following
            index, importance = rate_of_frame(*about, rate), of_frame(*about, None)
        else:
            reference, index, importance = known[place.past], rate, None
        lam = lagrangian(index)
        coded = code_frame(
            codec, picture, replace(state, reference=reference), index, importance=importance
        )
        motion, residual = bits_per_pixel(coded, picture)
        decoded = coded.state.reference.picture
        d = metric(decoded, picture)
        weight = lam
        if place.future is None:
            weight = lam * what.frames[(place.number - 1) % len(what.frames)]
        total = weight * d + motion + residual
        predicted = metric(coded.prediction.picture, picture)
        total = total + weight * what.prediction * predicted
        if what.warp:
            total = total + weight * what.warp * metric(coded.prediction.warped, picture)
        losses.append(total / lam.sqrt())
        with torch.no_grad():
            warped = distortion(coded.prediction.warped, picture)
            error = distortion(decoded, picture)
            seen = distortion(coded.prediction.picture, picture)
            rd = lam * d + motion + residual
            rows.append(
                torch.stack([x.mean() for x in (rd, motion, residual, warped, seen, error)])
            )
        state = coded.state if what.through_time else coded.state.detach()
        known[place.number] = state.reference
    m = torch.stack(rows).mean(0)
    values = torch.cat((m[:3], -10 * m[3:].clamp(min=1e-9).log10()))
    final = replace(state, reference=known[len(pictures)])
    return Measured(torch.stack(losses).mean(), values), final


def bits_per_pixel(coded: Coded, picture: Planes) -> tuple[Tensor, Tensor]:
    """Estimated bits per luma pixel of motion and of the rest, (B,) each."""
    pixels = picture.luma[0].numel()
    motion = torch.zeros_like(next(iter(coded.bits.values())))
    rest = torch.zeros_like(motion)
    for name, bits in coded.bits.items():
        if name.startswith(MOTION):
            motion = motion + bits
        else:
            rest = rest + bits
    return motion / pixels, rest / pixels
