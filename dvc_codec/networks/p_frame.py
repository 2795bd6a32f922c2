"""The default network, whole: what encoder, decoder and training call, in the order they call it.

    estimate flow -> motion latents -> [symbols] -> predict -> residual latents -> [symbols] ->
    finish

A P frame has one reference; a B frame has two, and its own compensation network over their mean.

Everything learned starts as a correction that is zero, so the untrained network is a working codec:
motion search, DCT, closed-form steps (design.md, section 3). Where symbols are chosen is not
decided here.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace

import torch
from torch import Tensor, nn

from dvc_codec.networks.blocks import plain
from dvc_codec.networks.compensation import Compensation
from dvc_codec.networks.config import PFrameConfig
from dvc_codec.networks.flow import FlowEstimator
from dvc_codec.networks.interface import Latents, LatentsOfPlanes
from dvc_codec.networks.motion import MotionAutoencoder
from dvc_codec.networks.motion_search import (
    MOTION,
    MOTION_BACK,
    MOTION_BACK_DETAIL,
    MOTION_DETAIL,
    MotionSearch,
)
from dvc_codec.networks.planes import Planes, pack, round_to_bytes, unpack
from dvc_codec.networks.post_filter import PostFilter
from dvc_codec.networks.rate import centred, residual_scale
from dvc_codec.networks.reference import Between, Prediction, Reference
from dvc_codec.networks.residual import CHROMA, LUMA, Filtered, LoopFilter, ResidualAutoencoder
from dvc_codec.networks.response import Response, coefficients, measure
from dvc_codec.networks.structure import StructuralWeights
from dvc_codec.networks.warp import compensate, smooth, warp

# How much of what is wrong with luma its second latents are to make good: all of it is too much,
# as blocks and frequencies are not as independent as that (docs/experiments.md#second-look)
MADE_GOOD = 0.85


class PFrameNetwork(nn.Module):
    """See the module.

    Attributes:
        fast: run the convolutional networks in bfloat16; transforms, warps and flow stay in
            float32.
        displays: run the post-filter, for what is displayed.
        warp_gradients: let gradients through pictures and flow into earlier steps. Slow on a CPU;
            without them flow, motion transform and steps do not learn, and features only within a
            roll-out.
    """

    def __init__(self, config: PFrameConfig | None = None, fast: bool = False) -> None:
        super().__init__()
        self.config = config or PFrameConfig()
        self.fast = fast
        self.warp_gradients = False
        self.displays = False
        self.flow = FlowEstimator(self.config.flow)
        self.motion = MotionAutoencoder()
        self.compensation = Compensation(self.config)
        self.compensation_between = Compensation(self.config)
        self.residual = ResidualAutoencoder(self.config)
        self.filter = LoopFilter(self.config)
        post = self.config.post
        self.post = PostFilter(post, self.config.quarter) if post else None
        self.metric = self.config.metric
        self.structure = StructuralWeights() if self.metric == "ms-ssim" else None

    def _precision(self, device: torch.device) -> AbstractContextManager[object]:
        return torch.autocast(device.type, torch.bfloat16, enabled=self.fast)

    def start(self, picture: Planes) -> Reference:
        """The reference right after an I frame: nothing moved, nothing remembered."""
        b, _, h, w = picture.luma.shape
        flow = picture.luma.new_zeros(b, 2, h // 4, w // 4)
        features = picture.luma.new_zeros(b, self.config.features, h // 4, w // 4)
        one = picture.luma.new_ones(b, 1, 1, 1)
        return Reference(picture, picture, flow, features, one, one)

    def ahead(self, reference: Reference, distance: int) -> Reference:
        """The reference of a P frame that is ``distance`` frames on."""
        return replace(reference, distance=torch.full_like(reference.span, distance))

    def between(self, past: Reference, future: Reference, to_past: int, to_future: int) -> Between:
        """The reference of a B frame, so many frames away from each."""
        return Between(past, future, to_past, to_future)

    def motion_latents(
        self, current: Planes, reference: Reference | Between, rate_index: Tensor
    ) -> LatentsOfPlanes:
        """Encoder: estimate the flow and transform what its prediction misses."""
        search = MotionSearch(self.flow, self.motion, current.luma, rate_index, self.structure)
        if isinstance(reference, Reference):
            return search.to_one(reference.picture.luma, self._expected(reference))
        between = reference
        return search.to_two(
            between.past.picture.luma,
            between.future.picture.luma,
            self._expected_between(between),
            lambda symbols: self._flow(between, symbols, rate_index),
            between.mirrored,
        )

    def _expected(self, reference: Reference) -> Tensor:
        """The flow that a P frame would have if motion went on."""
        return self.motion.predict(reference.flow * (reference.distance / reference.span))

    def _expected_between(self, reference: Between) -> Tensor:
        """A B frame's flow to the past if what moves from past to future does so steadily."""
        return smooth(reference.future.velocity) * reference.to_past

    def _flow(
        self, reference: Reference | Between, symbols: Mapping[str, Tensor], rate_index: Tensor
    ) -> Tensor:
        """The decoded flow to the (past) reference."""
        if isinstance(reference, Between):
            expected = self._expected_between(reference)
        else:
            expected = self._expected(reference)
        return self.motion.synthesise(symbols[MOTION], symbols[MOTION_DETAIL], expected, rate_index)

    def predict(
        self, reference: Reference | Between, symbols: Mapping[str, Tensor], rate_index: Tensor
    ) -> Prediction:
        """Both sides: decoded motion symbols -> the prediction."""
        flow = self._flow(reference, symbols, rate_index)
        if isinstance(reference, Between):
            return self._predict_between(reference, flow, symbols, rate_index)
        if not self.warp_gradients:
            flow = flow.detach()
            pictures = reference.picture.detach(), reference.older.detach(), reference.flow.detach()
            reference = replace(reference, picture=pictures[0], older=pictures[1], flow=pictures[2])
        warped = compensate(reference.picture, flow, "overlapped")
        # the motion of the frame before, fetched along this one: where the pixel was two frames ago
        older = compensate(reference.older, flow + warp(reference.flow, flow), "bilinear")
        features = warp(reference.features, flow)
        still = reference.picture
        return self._corrected(self.compensation, warped, older, still, features, flow, rate_index)

    def _predict_between(
        self,
        reference: Between,
        flow: Tensor,
        symbols: Mapping[str, Tensor],
        rate_index: Tensor,
    ) -> Prediction:
        """The mean of what both motions fetch, corrected."""
        back = self.motion.synthesise(
            symbols[MOTION_BACK],
            symbols[MOTION_BACK_DETAIL],
            reference.mirrored(flow),
            rate_index,
        )
        past, future = reference.past.picture, reference.future.picture
        if not self.warp_gradients:
            flow, back = flow.detach(), back.detach()
            past, future = past.detach(), future.detach()
        earlier = compensate(past, flow, "overlapped")
        later = compensate(future, back, "overlapped")
        mean = Planes(*((a + b) / 2 for a, b in zip(earlier, later, strict=True)))
        features = warp(reference.past.features, flow)
        return self._corrected(
            self.compensation_between, mean, later, past, features, flow, rate_index
        )

    def _corrected(
        self,
        compensation: Compensation,
        warped: Planes,
        older: Planes,
        still: Planes,
        features: Tensor,
        flow: Tensor,
        rate_index: Tensor,
    ) -> Prediction:
        """What a compensation network makes of a warped picture; arguments as there."""
        with self._precision(flow.device):
            if self.fast:
                features = features.to(torch.bfloat16)
            packed, context = compensation(
                warped,
                older,
                still,
                features,
                flow,
                centred(rate_index),
                residual_scale(rate_index),
            )
        prediction = Prediction(warped, packed, context, flow)
        if self.structure:
            steps = self.structure.steps(prediction.picture.luma)
            return replace(prediction, luma_steps=steps)
        return prediction

    def response(self, prediction: Prediction, rate_index: Tensor) -> Response:
        """Encoder: what transforms and loop filter make of symbols, on this prediction."""
        _, _, height, width = prediction.packed.shape
        eighth, sixteenth = (height // 2, width // 2), (height // 4, width // 4)
        no_luma = prediction.packed.new_zeros(1, 64, *eighth)
        no_chroma = prediction.packed.new_zeros(1, 128, *sixteenth)

        def decoded(luma: Tensor, chroma: Tensor) -> Planes:
            symbols = {LUMA: luma, CHROMA: chroma}
            return unpack(self._decoded(prediction, symbols, rate_index)[1].packed)

        luma_steps = self._luma_steps(prediction, rate_index)
        chroma_steps = self.residual.chroma_steps(rate_index)
        return Response(
            measure(lambda luma: decoded(luma, no_chroma).luma, luma_steps, eighth),
            measure(lambda chroma: decoded(no_luma, chroma).chroma, chroma_steps, sixteenth),
        )

    def residual_latents(
        self,
        current: Planes,
        prediction: Prediction,
        rate_index: Tensor,
        response: Response | None = None,
    ) -> dict[str, Latents]:
        """Encoder: "luma" (B, 64, H/8, W/8) and "chroma" (B, 128, H/16, W/16)."""
        luma, chroma = self.residual.analyse(current.minus(prediction.picture), rate_index)
        if prediction.luma_steps is not None:
            luma = luma / prediction.luma_steps
        with self._precision(prediction.flow.device):
            luma = luma + self.residual.learned(luma, prediction.context)
        return _weighed(luma, chroma, response)

    def second_latents(
        self,
        current: Planes,
        prediction: Prediction,
        symbols: Mapping[str, Tensor],
        rate_index: Tensor,
        response: Response,
    ) -> dict[str, Latents]:
        """Encoder: the latents again, luma's moved by what its symbols leave wrong.

        The first ones are right if all that a decoder adds to the prediction is the residual; but
        the loop filter does what it can beside that, and stretches what the transform shrinks.
        """
        _, done = self._decoded(prediction, symbols, rate_index)
        left = coefficients(current.luma - unpack(done.packed).luma)
        left = left / self._luma_steps(prediction, rate_index)
        luma = symbols[LUMA] + MADE_GOOD * response.luma.undoing * left
        _, chroma = self.residual.analyse(current.minus(prediction.picture), rate_index)
        return _weighed(luma, chroma, response)

    def finish(
        self,
        reference: Reference | Between,
        prediction: Prediction,
        symbols: Mapping[str, Tensor],
        rate_index: Tensor,
    ) -> Reference:
        """Both sides: decoded residual symbols -> the reconstruction, as a reference of the frames
        after it.
        """
        residual, done = self._decoded(prediction, symbols, rate_index)
        picture, shown = unpack(done.packed), None
        if self.post is not None and self.displays:
            with self._precision(residual.luma.device):
                shown = post_filtered(self.post, picture, done, prediction, residual, rate_index)
        one = rate_index.new_ones(len(picture.luma), 1, 1, 1, dtype=torch.float32)
        span = one * reference.to_past if isinstance(reference, Between) else reference.distance
        return Reference(
            round_to_bytes(picture),
            reference.picture,
            prediction.flow,
            plain(done.features),
            span,
            one,
            None if shown is None else round_to_bytes(shown),
        )

    def _luma_steps(self, prediction: Prediction, rate_index: Tensor) -> Tensor:
        """Of luma's symbols; where the prediction has its own, theirs too."""
        steps: Tensor = self.residual.luma_steps(rate_index)
        return steps if prediction.luma_steps is None else steps * prediction.luma_steps

    def _decoded(
        self, prediction: Prediction, symbols: Mapping[str, Tensor], rate_index: Tensor
    ) -> tuple[Planes, Filtered]:
        """Residual symbols -> the residual, and what the loop filter makes of it."""
        luma, chroma = symbols[LUMA], symbols[CHROMA]
        if prediction.luma_steps is not None:
            luma = luma * prediction.luma_steps
        residual = self.residual.synthesise(luma, chroma, rate_index)
        with self._precision(residual.luma.device):
            return residual, self.loop_filtered(prediction, residual, rate_index)

    def loop_filtered(
        self, prediction: Prediction, residual: Planes, rate_index: Tensor
    ) -> Filtered:
        """The loop filter on prediction and decoded residual, in the precision of who calls."""
        rate, unit = centred(rate_index), residual_scale(rate_index)
        done: Filtered = self.filter(
            prediction.packed, pack(residual), prediction.context, rate, unit
        )
        return done


def _weighed(luma: Tensor, chroma: Tensor, response: Response | None) -> dict[str, Latents]:
    if response is None:
        return {LUMA: Latents(luma), CHROMA: Latents(chroma)}
    return {
        LUMA: Latents(luma, response.luma.weights.expand_as(luma)),
        CHROMA: Latents(chroma, response.chroma.weights.expand_as(chroma)),
    }


def post_filtered(
    post: PostFilter,
    picture: Planes,
    done: Filtered,
    prediction: Prediction,
    residual: Planes,
    rate_index: Tensor,
) -> Planes:
    """What is shown of a frame whose loop filter has made this ``picture``, not yet rounded."""
    units, added = unit_of_samples(residual_scale(rate_index), prediction), unpack(done.correction)
    filtered: Planes = post(picture, added, residual, done.memory, centred(rate_index), units)
    return filtered


def unit_of_samples(unit: Tensor, prediction: Prediction) -> Tensor:
    """``PostFilter``'s unit, of all samples (B, 1, 1, 1): luma's follows its own steps if blocks
    have such.
    """
    if prediction.luma_steps is None:
        return unit
    luma = unit * prediction.luma_steps.mean(1, keepdim=True).repeat_interleave(4, -1)
    luma = luma.repeat_interleave(4, -2)
    return torch.cat((luma.expand(-1, 4, -1, -1), unit.expand(-1, 2, *luma.shape[-2:])), 1)
