"""A P or B frame, coded: the one loop over network and symbols that training and encoder share.

    code_frame(codec, current, state, rate, costs) -> Coded         training: choose symbols
    FrameCoding(codec, current, state, rate, costs) -> Coded        encoder: in several ways
    reconstruct(network, reference, symbols, rate) -> Reference     decoder: symbols to picture

Symbols become bytes, and bytes symbols, in :mod:`dvc_codec.codec.symbols`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from torch import Tensor, nn

from dvc_codec.codec.choosing import Choosing, Quantiser
from dvc_codec.codec.costs import CostOf, law_costs
from dvc_codec.codec.importance import Importance
from dvc_codec.codec.symbols import SymbolWriter
from dvc_codec.container.records import FrameKind
from dvc_codec.entropy.prior import BFramePrior, FramePrior, PFramePrior
from dvc_codec.errors import WrongVersion
from dvc_codec.networks.interface import LatentsOfPlanes, Network, P, Prediction, R
from dvc_codec.networks.p_frame import PFrameNetwork
from dvc_codec.networks.planes import Planes, repeat_border
from dvc_codec.networks.rate import TRADE
from dvc_codec.networks.reference import Between
from dvc_codec.networks.still_filter import StillFilter

INHERITED = 0.15, 1.0  # of what errors are worth to the encoder: at least, at most


class PFrameCodec(nn.Module):
    """The network and its priors: everything that is trained, and stored as one set of weights.

    Attributes:
        prior: of P frames.
        prior_between: of B frames; None: this codec has none.
        stills: the filter of I frames; None: they stay as their still codec has them.
        quantiser: how latents become symbols. "rdo": by rate and distortion, with ``trade``;
            "round": plainly; "noise": plus uniform noise where a gradient is asked for, plainly
            elsewhere.
    """

    def __init__(
        self,
        network: Network[Any, Any] | None = None,
        prior: FramePrior | None = None,
        quantiser: Quantiser = "rdo",
        prior_between: BFramePrior | None = None,
        stills: StillFilter | None = None,
    ) -> None:
        super().__init__()
        self.network: Network[Any, Any] = network or PFrameNetwork()
        self.prior = prior or PFramePrior()
        self.prior_between = prior_between or (None if prior else BFramePrior())
        self.stills = stills
        self.quantiser = quantiser
        self.trade = TRADE

    def start(self, picture: Planes, size: tuple[int, int] | None = None) -> "State":
        """The state right after an I frame; ``size``: height and width without the padding."""
        height, width = size or picture.luma.shape[-2:]
        nothing = len(picture.luma), height, width, picture.luma.device
        between = self.prior_between.nothing(*nothing) if self.prior_between else {}
        return State(self.network.start(picture), self.prior.nothing(*nothing), between)

    def remember(
        self, kind: FrameKind, sent: Mapping[str, Tensor], between: Mapping[str, Tensor]
    ) -> tuple[Mapping[str, Tensor] | None, Mapping[str, Tensor]]:
        """The pasts of P (None: as it was) and of B frames after a frame that sent this."""
        magnitudes = {name: plane.detach().abs() for name, plane in sent.items()}
        if kind is FrameKind.B:
            return None, magnitudes
        if self.prior_between is not None:
            between = self.prior_between.after_p(between, magnitudes)
        return magnitudes, between

    def bake(self) -> None:
        """Make the priors' weights the integers they stand for. Raises OverflowError as
        ``FramePrior.bake``.
        """
        for prior in self.priors():
            prior.bake()

    def priors(self) -> list[FramePrior]:
        """All there are."""
        return [self.prior, *([self.prior_between] if self.prior_between else [])]

    def prior_of(self, kind: FrameKind) -> FramePrior:
        """Of P or B frames. Raises WrongVersion where this codec has none of them."""
        prior = self.prior if kind is FrameKind.P else self.prior_between
        if prior is None:
            raise WrongVersion(f"a frame of kind {kind.name}: these weights know none")
        return prior


@dataclass(frozen=True)
class State:
    """What both sides know before a frame: decoded pictures, and the magnitudes of what the last
    P frame (``past``) and the last B frame (``between``) sent, see ``BFramePrior.after_p``.
    """

    reference: Any  # the network's own networks.interface.Reference
    past: Mapping[str, Tensor]
    between: Mapping[str, Tensor] = field(default_factory=dict)

    def detach(self) -> "State":
        return replace(self, reference=self.reference.detach())  # magnitudes have no gradient


@dataclass(frozen=True)
class Coded:
    """A coded P or B frame.

    ``symbols`` go into the network; ``sent`` is what differs from their prediction, ``fine`` the
    levels that is coded with, and ``lifts`` how far these were lifted in each of a plane's steps
    (of the first picture).
    ``bits`` are estimates per plane, (B,).
    """

    state: State
    prediction: Prediction
    symbols: Mapping[str, Tensor]
    sent: Mapping[str, Tensor]
    bits: Mapping[str, Tensor]
    fine: Mapping[str, Tensor]
    lifts: Mapping[str, Sequence[int]]


def code_frame(
    codec: PFrameCodec,
    current: Planes,
    state: State,
    rate: Tensor,
    costs: CostOf = law_costs,
    *,
    importance: Importance | None = None,
) -> Coded:
    """Choose the symbols of a P or B frame and reconstruct it: :class:`FrameCoding` in one go."""
    coding = FrameCoding(codec, current, state, rate, costs, importance=importance)
    return coding.finish(coding.choose())


@dataclass(frozen=True)
class Choice:
    """Symbols of a frame; what is not explained here as in :class:`Coded`.

    Attributes:
        size: bits, where there is a writer.
        errors: what squared errors of the residual are worth, in bits, likewise.
        width: of the steps of motion.
        writer: wrote them.
        moved: as it was when motion was chosen, and nothing else.
    """

    prediction: Prediction
    symbols: Mapping[str, Tensor]
    sent: Mapping[str, Tensor]
    bits: Mapping[str, Tensor]
    fine: Mapping[str, Tensor]
    lifts: Mapping[str, Sequence[int]]
    size: float
    errors: float
    width: int
    writer: SymbolWriter | None
    moved: Choosing

    def better(self, other: "Choice") -> bool:
        """Whether this one is cheaper, be its errors what frames after it inherit or what they
        make good anyway.
        """
        return all(
            self.size + share * self.errors < other.size + share * other.errors
            for share in INHERITED
        )


class FrameCoding:
    """A P or B frame while it is coded. Symbols can be chosen in several ways before it is
    reconstructed from those of one.

    Args:
        codec: codes it.
        current: the picture to code.
        state: after the frame before.
        rate: (B,) rate indices.
        costs: bits of a symbol, for the choice and for ``Coded.bits``.
        importance: of errors; all the same by default.
        responses: of the network, by kind of frame, filled where this one's is missing; None: none
            is asked for.
    """

    def __init__(
        self,
        codec: PFrameCodec,
        current: Planes,
        state: State,
        rate: Tensor,
        costs: CostOf = law_costs,
        *,
        importance: Importance | None = None,
        responses: dict[FrameKind, Any] | None = None,
    ) -> None:
        self._codec, self._current, self._state, self._rate = codec, current, state, rate
        self._costs, self._importance, self._responses = costs, importance, responses
        self.kind = FrameKind.B if isinstance(state.reference, Between) else FrameKind.P
        self._prior = codec.prior_of(self.kind)
        self._known = state.between if self.kind is FrameKind.B else state.past
        self._motion = codec.network.motion_latents(current, state.reference, rate)

    def choose(self, width: int = 0, writer: SymbolWriter | None = None) -> Choice:
        """Choose symbols.

        Args:
            width: of the steps of motion, see :func:`.symbols.step_width`.
            writer: begins to write them, ``Choice.writer`` goes on. It chooses them by what they
                cost it, as far as rate and distortion are to choose them at all: ``costs`` are for
                lifts then, and nobody fills in ``Coded.bits``.
        """
        codec = self._codec
        choosing = Choosing(
            codec.quantiser,
            codec.trade,
            self._prior,
            self._known,
            self._costs,
            self._importance,
            width,
            writer,
        )
        choosing.planes(self._motion)
        network, rate = codec.network, self._rate
        prediction = network.predict(self._state.reference, choosing.symbols, rate)
        response = self._response(prediction)
        latents = network.residual_latents(self._current, prediction, rate, response)
        return self._with_rest(choosing, prediction, latents, width)

    def again(self, choice: Choice) -> Choice:
        """Another choice of all but motion, by what a decoder would make of the first one."""
        network, prediction, rate = self._codec.network, choice.prediction, self._rate
        response = self._response(prediction) or network.response(prediction, rate)
        latents = network.second_latents(self._current, prediction, choice.symbols, rate, response)
        if not latents:
            return choice
        return self._with_rest(choice.moved, prediction, latents, choice.width)

    def _response(self, prediction: Prediction) -> Any:
        if self._responses is None:
            return None
        if self.kind not in self._responses:
            self._responses[self.kind] = self._codec.network.response(prediction, self._rate)
        return self._responses[self.kind]

    def _with_rest(
        self, moved: Choosing, prediction: Prediction, latents: LatentsOfPlanes, width: int
    ) -> Choice:
        """Choose what is left to send once motion is chosen. Errors of motion count by that."""
        choosing = moved.copy()
        choosing.planes(latents)
        return Choice(
            prediction,
            choosing.symbols,
            choosing.sent,
            choosing.bits,
            choosing.fine,
            choosing.lifts,
            choosing.writer.bits() if choosing.writer else 0.0,
            choosing.spent,
            width,
            choosing.writer,
            moved,
        )

    def finish(self, choice: Choice) -> Coded:
        """Reconstruct it."""
        state, codec = self._state, self._codec
        first = self._prior.planes[0]
        rows, columns = self._known[first.name].shape[-2:]
        covered = rows * first.stride, columns * first.stride
        reference = finish(
            codec.network, state.reference, choice.prediction, choice.symbols, self._rate, covered
        )
        past, between = codec.remember(self.kind, choice.sent, state.between)
        after = State(reference, state.past if past is None else past, between)
        return Coded(
            after,
            choice.prediction,
            choice.symbols,
            choice.sent,
            choice.bits,
            choice.fine,
            choice.lifts,
        )


def reconstruct(
    network: Network[R, Any],
    reference: R,
    symbols: Mapping[str, Tensor],
    rate: Tensor,
    covered: tuple[int, int],
) -> R:
    """The decoder's half of :func:`code_frame`: the same calls, on symbols that were read.

    ``covered``: height and width that the planes cover, see ``FramePrior.covered``.
    """
    return finish(
        network, reference, network.predict(reference, symbols, rate), symbols, rate, covered
    )


def finish(
    network: Network[R, P],
    reference: R,
    prediction: P,
    symbols: Mapping[str, Tensor],
    rate: Tensor,
    covered: tuple[int, int],
) -> R:
    """From the prediction to the next reference, whose picture goes on beyond what is covered by
    symbols as a padded source does.
    """
    done = network.finish(reference, prediction, symbols, rate)
    picture = repeat_border(done.picture, *covered)
    return cast(R, replace(cast(Any, done), picture=picture))
