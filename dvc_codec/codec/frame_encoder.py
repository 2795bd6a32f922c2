"""One picture after the other into frame records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dvc_codec.codec import symbols
from dvc_codec.codec.costs import learned_costs
from dvc_codec.codec.importance import Errors, of_frame, rate_of_frame
from dvc_codec.codec.memory import PictureMemory, SymbolMemory
from dvc_codec.codec.model import Model
from dvc_codec.codec.p_frame import Choice, FrameCoding, State
from dvc_codec.codec.pictures import displayed, hash_of, to_picture, to_planes, without_displayed
from dvc_codec.codec.stills import refine
from dvc_codec.codec.temporal_filter import Neighbour, filtered
from dvc_codec.container import FrameKind, FrameRecord, Place
from dvc_codec.entropy.mixing import WIDTHS, Statistics
from dvc_codec.errors import OutOfRange
from dvc_codec.intra import encode_for_lambda, get, lambda_ratio
from dvc_codec.networks.rate import HIGHEST_LAMBDA, LOWEST_LAMBDA, lambda_at, rate_index
from dvc_codec.video import Frame, Picture

TRIES = 2  # P frames of a group that try other steps of motion


class SentSymbols(NamedTuple):
    """Of a P or B frame, what :func:`.symbols.write` wrote: whole numbers, (1, C, h, w) per plane.

    Attributes:
        kind: of the frame.
        sent: symbols.
        levels: fine levels that they were coded with.
        lifts: how far these were lifted in each step.
        width: of the steps of motion.
    """

    kind: FrameKind
    sent: Mapping[str, Tensor]
    levels: Mapping[str, Tensor]
    lifts: Mapping[str, Sequence[int]]
    width: int


@dataclass(frozen=True)
class EncodedFrame:
    """A coded frame and what it cost.

    ``bits`` by part: intra, motion, residual (a dvc2019 model has others).
    """

    record: FrameRecord
    picture: Picture
    bits: dict[str, int]
    squared_error: tuple[float, float, float]  # mean, per plane


class FrameEncoder:
    """Codes pictures one after the other, from the state that a decoder will have.

    Args:
        model: weights.
        lagrangian: lambda in [64, 4096]; raises OutOfRange outside.
        intra: name of the I-frame codec, "auto" or "best".
        gop: frames that a group is expected to have.
        twice: choose residuals twice, the second time by what is left of the first one's errors.
        statistics: that the entropy coder begins each group with; by default the model's, which
            are what a decoder has.

    Attributes:
        sent: by the last P or B frame.
    """

    sent: SentSymbols

    def __init__(
        self,
        model: Model,
        lagrangian: float,
        intra: str = "auto",
        gop: int = 32,
        twice: bool = True,
        statistics: symbols.StatisticsOfKinds | None = None,
    ) -> None:
        if not LOWEST_LAMBDA <= lagrangian <= HIGHEST_LAMBDA:
            raise OutOfRange(
                f"lambda {lagrangian:g}: must be in [{LOWEST_LAMBDA:g}, {HIGHEST_LAMBDA:g}]"
            )
        self._codec = model.codec
        self._lagrangian, self._intra, self._gop, self._twice = lagrangian, intra, gop, twice
        self._anchors = 1  # frames from the last anchor to the one before it
        self._errors: dict[FrameKind, Errors] = {}  # of the last frame of each kind
        self._responses: dict[FrameKind, Any] = {}  # of the group's first frame of each kind
        self._width, self._tries = 0, 0  # of the steps of motion, and P frames that may change it
        self.rate_index = rate_index(lagrangian)
        self._symbols = SymbolMemory(model.codec, statistics)
        self._pictures = PictureMemory(model.codec)

    def statistics(self, kind: FrameKind) -> symbols.StatisticsOfPlanes:
        """What the entropy coder has learned by now of frames of a kind."""
        return self._symbols.statistics(kind)

    @torch.inference_mode()
    def encode(
        self,
        frame: Frame,
        place: Place,
        index: int | None = None,
        around: Sequence[Neighbour] = (),
        group: int | None = None,
    ) -> EncodedFrame:
        """Code the next frame in coding order.

        Args:
            frame: what errors are measured against.
            place: its place in its group.
            index: the rate index of this group from here on; None stays at the last one. P and B
                frames are coded around it, see :mod:`dvc_codec.codec.importance`.
            around: neighbours that it is to be filtered with before it is coded.
            group: frames that this group is expected to have, from here on.
        """
        self._gop = group or self._gop
        if index is not None and index != self.rate_index:
            self.rate_index, self._lagrangian = index, lambda_at(index)
        if place.past is None:
            return self._intra_frame(frame, around)
        return self._predicted_frame(frame, place, around)

    def _intra_frame(self, frame: Frame, around: Sequence[Neighbour]) -> EncodedFrame:
        structural = self._codec.network.metric == "ms-ssim"
        ratio = lambda_ratio(self._lagrangian, structural, self._gop)
        name, data, decoded = encode_for_lambda(
            filtered(frame.picture, around, FrameKind.I, self._lagrangian),
            self._lagrangian,
            self._intra,
            ratio=ratio,
            structural=structural,
        )
        told, decoded = refine(self._codec, frame.picture, decoded, self._lagrangian * ratio)
        self._pictures.begin(to_planes(decoded))
        self._symbols.begin(decoded.height, decoded.width)
        self._errors, self._responses, self._width, self._tries = {}, {}, 0, TRIES
        record = FrameRecord(
            FrameKind.I,
            self.rate_index,
            frame.pts,
            (data, *told),
            hash_of(decoded),
            intra_codec=get(name).id,
        )
        return EncodedFrame(
            record,
            decoded,
            {"intra": 8 * sum(map(len, record.payloads))},
            squared_error(frame.picture, decoded),
        )

    def _predicted_frame(
        self, frame: Frame, place: Place, around: Sequence[Neighbour]
    ) -> EncodedFrame:
        kind = FrameKind.P if place.future is None else FrameKind.B
        if kind is FrameKind.P and place.past is not None:
            self._anchors = place.number - place.past
        statistics = self._symbols.statistics(kind)
        about = place, self._anchors, self._gop
        rate = rate_of_frame(*about, torch.tensor([self.rate_index]))
        errors = self._errors.get(kind, self._errors.get(FrameKind.P))
        coding = FrameCoding(
            self._codec,
            to_planes(filtered(frame.picture, around, kind, self._lagrangian)),
            State(
                self._pictures.of(place),
                self._symbols.past(FrameKind.P),
                self._symbols.past(FrameKind.B),
            ),
            rate,
            learned_costs(statistics),
            importance=of_frame(*about, errors, self._codec.network.metric),
            responses=self._responses,
        )
        choice = self._chosen(coding, statistics)
        choice = coding.again(choice) if self._twice else choice
        assert choice.writer is not None
        payload, sizes, statistics = choice.writer.end()
        coded = coding.finish(choice)
        self.sent = SentSymbols(kind, coded.sent, coded.fine, coded.lifts, choice.width)
        self._symbols.add(kind, coded.sent, statistics)
        reference = coded.state.reference
        self._pictures.add(place, without_displayed(reference))
        size = frame.picture.height, frame.picture.width
        picture = displayed(reference, *size)
        record = FrameRecord(kind, int(rate), frame.pts, (payload,), hash_of(picture))
        motion = sum(bits for name, bits in sizes.items() if name.startswith("motion"))
        bits = {"motion": motion, "residual": 8 * len(payload) - motion}
        errors = squared_error(frame.picture, picture)
        # what matters to frames after this one are the errors of what they are predicted from
        self._errors[kind] = errors
        if reference.shown is not None:
            referred = to_picture(reference.picture, *size)
            self._errors[kind] = squared_error(frame.picture, referred)
        return EncodedFrame(record, picture, bits, errors)

    def _chosen(self, coding: FrameCoding, statistics: Mapping[str, Statistics]) -> Choice:
        """A frame's symbols, and how wide the steps of motion are from here on: the first P frames
        of a group try others, one wider or narrower after the other as long as that is cheaper.
        """
        prior = self._codec.prior_of(coding.kind)
        past = self._symbols.past(coding.kind)

        def at(width: int) -> Choice:
            return coding.choose(width, symbols.SymbolWriter(prior, statistics, past, width))

        best = at(self._width)
        if coding.kind is FrameKind.P and self._tries > 0 and any(p.scaled for p in prior.planes):
            self._tries -= 1
            for way in (1, -1):
                begun = best.width
                while abs(best.width + way) <= WIDTHS:
                    other = at(best.width + way)
                    if not other.better(best):
                        break
                    best = other
                if best.width != begun:
                    break
            self._width = best.width
        return best


def squared_error(a: Picture, b: Picture) -> tuple[float, float, float]:
    """Mean squared error of Y, U, V, in squared 8-bit levels."""
    y, u, v = (
        float(np.square(np.subtract(p, q, dtype=np.int16), dtype=np.int32).mean(dtype=np.float64))
        for p, q in zip(a.planes, b.planes, strict=True)
    )
    return y, u, v


def weighted_psnr(errors: tuple[float, float, float]) -> float:
    """(6 Y + U + V) / 8 of the planes' PSNR in dB; a perfect plane counts as 100 dB."""
    y, u, v = (10 * np.log10(255**2 / e) if e > 0 else 100.0 for e in errors)
    return float((6 * y + u + v) / 8)
