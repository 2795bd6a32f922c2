"""The loss: lambda D + R, per sample, over a roll-out."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from dvc_codec.codec.p_frame import PFrameCodec, State, code_frame
from dvc_codec.networks.planes import Planes
from dvc_codec.networks.rate import lagrangian


def distortion(a: Planes, b: Planes) -> Tensor:
    """D = (6 MSE_Y + MSE_U + MSE_V) / 8 of samples in [0, 1]; (B,)."""
    luma = (a.luma - b.luma).pow(2).mean((1, 2, 3))
    chroma = (a.chroma - b.chroma).pow(2).mean((1, 2, 3))  # the mean of U's and V's
    return (6 * luma + 2 * chroma) / 8


@dataclass
class Measured:
    """Means over a roll-out and a batch, for the log."""

    loss: Tensor  # lambda D + R over sqrt(lambda), with gradient
    rd: float  # lambda D + R
    motion: float  # bits per luma pixel
    residual: float
    psnr_warped: float  # from the mean D, over the 8-bit peak
    psnr_predicted: float
    psnr: float

    def numbers(self) -> list[float]:
        """All but the loss, in order."""
        return [getattr(self, f.name) for f in fields(self) if f.name != "loss"]


def rollout_loss(
    codec: PFrameCodec, pictures: list[Planes], state: State, rate: Tensor, prediction_weight: float
) -> tuple[Measured, State]:
    """Code ``pictures`` from ``state`` on.

    ``prediction_weight``: share of the prediction's distortion added to the loss.
    """
    lam = lagrangian(rate)
    losses, rows = [], []
    for picture in pictures:
        coded = code_frame(codec, picture, state, rate)
        pixels = picture.luma[0].numel()
        motion, residual = (
            torch.stack([b for n, b in coded.bits.items() if n.startswith("motion") is said]).sum(0)
            / pixels
            for said in (True, False)
        )
        d = distortion(coded.state.reference.picture, picture)
        predicted = distortion(coded.prediction.picture, picture)
        rd = lam * d + motion + residual
        losses.append((rd + lam * prediction_weight * predicted) / lam.sqrt())
        with torch.no_grad():
            warped = distortion(coded.prediction.warped, picture)
            rows.append(
                torch.stack([x.mean() for x in (rd, motion, residual, warped, predicted, d)])
            )
        state = coded.state
    m = torch.stack(rows).mean(0)
    psnr = -10 * m[3:].clamp(min=1e-9).log10()
    loss = torch.stack(losses).mean()
    return Measured(loss, *(float(v) for v in m[:3]), *(float(v) for v in psnr)), state
