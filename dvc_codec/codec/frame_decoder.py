"""Frame records into symbols, and these into pictures."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from dvc_codec.codec import symbols
from dvc_codec.codec.crew import Crew
from dvc_codec.codec.memory import Places, SymbolMemory, reference_of
from dvc_codec.codec.model import Model
from dvc_codec.codec.p_frame import reconstruct
from dvc_codec.codec.pictures import displayed, hash_of, to_planes, without_displayed
from dvc_codec.codec.stills import refined
from dvc_codec.container import FULL_SCALE, FrameKind, FrameRecord, Header, Place
from dvc_codec.errors import DamagedFile, WrongVersion
from dvc_codec.intra import by_id
from dvc_codec.networks.rate import RATES
from dvc_codec.video import Picture


@dataclass(frozen=True)
class Parsed:
    """A frame whose bytes are read: the picture of an I frame, or the symbols of another as
    the network gets them and as they were sent, and how far levels were lifted in each plane's
    steps.
    """

    record: FrameRecord
    place: Place
    still: Picture | None = None
    symbols: Mapping[str, Tensor] = field(default_factory=dict)
    sent: Mapping[str, Tensor] = field(default_factory=dict)
    lifts: Mapping[str, Sequence[int]] = field(default_factory=dict)


class FrameParser:
    """Reads the frames of groups of pictures, in coding order. Needs no picture of a P or B frame,
    so it may run ahead of whoever reconstructs them.
    """

    def __init__(self, model: Model, header: Header) -> None:
        self._codec, self._header = model.codec, header
        self.memory = SymbolMemory(model.codec)

    @torch.inference_mode()
    def parse(self, record: FrameRecord, place: Place) -> Parsed:
        """Raises DamagedFile where a frame cannot be what the file says, WrongVersion for a kind of
        frame that this program or these weights do not know.
        """
        most = 2 if record.kind == FrameKind.I else 1
        if not 1 <= len(record.payloads) <= most:
            found = len(record.payloads)
            raise DamagedFile(f"a frame has {found} payloads, expected {most} at most")
        if record.rate_index >= RATES:
            raise DamagedFile(f"rate index {record.rate_index}, expected less than {RATES}")
        if record.references is not None or record.scale not in (None, FULL_SCALE):
            raise WrongVersion(
                "a frame of another size, or with references of its own: this program knows neither"
            )
        if record.kind == FrameKind.I:
            return self._intra_frame(record, place)
        if not self.memory.begun:
            raise DamagedFile("a group of pictures does not start with an I frame")
        prior, known = self._codec.prior_of(record.kind), self.memory.statistics(record.kind)
        past = self.memory.past(record.kind)
        read, sent, known, lifts = symbols.read(prior, known, record.payloads[0], past)
        self.memory.add(record.kind, sent, known)
        return Parsed(record, place, symbols=read, sent=sent, lifts=lifts)

    def _intra_frame(self, record: FrameRecord, place: Place) -> Parsed:
        if record.intra_codec is None:
            raise DamagedFile("an I frame does not say which codec it is of")
        height, width = self._header.height, self._header.width
        payload, *told = record.payloads
        decoded = by_id(record.intra_codec).decode(payload, width, height)
        still = refined(self._codec, decoded, told)
        self.memory.begin(height, width)
        return Parsed(record, place, still)


@dataclass(frozen=True)
class Reconstructed:
    """A frame's picture, its hash, and what frames after it are predicted from."""

    picture: Picture
    picture_hash: int
    reference: Any


class FrameDecoder:
    """Reconstructs what a :class:`FrameParser` read, given in the same order.

    Args:
        model: weights.
        header: the file's.
        crew: who works on several frames at a time; by default they are done one after the other.
    """

    def __init__(self, model: Model, header: Header, crew: Crew | None = None) -> None:
        self._network, self._prior = model.codec.network, model.codec.prior
        self._header, self._crew = header, crew or Crew(1)
        self._places = Places[Future[Reconstructed]]()

    def decode(self, parsed: Parsed) -> Picture:
        """The frame's picture."""
        return self.begin(parsed).result().picture

    def begin(self, parsed: Parsed) -> Future[Reconstructed]:
        """The same, later."""
        place = parsed.place
        if place.past is None:
            done = self._crew.add(partial(self._still, parsed))
            self._places.begin(done, place.number)
        else:
            needed = self._places.needed(place)
            done = self._crew.add(
                partial(self._reconstruct, parsed, tuple(needed)), tuple(needed.values())
            )
            self._places.add(place, done)
        return done

    @torch.inference_mode()
    def _still(self, parsed: Parsed) -> Reconstructed:
        assert parsed.still is not None
        reference = self._network.start(to_planes(parsed.still))
        return Reconstructed(parsed.still, hash_of(parsed.still), reference)

    @torch.inference_mode()
    def _reconstruct(
        self, parsed: Parsed, numbers: tuple[int, ...], *needed: Reconstructed
    ) -> Reconstructed:
        known = {n: done.reference for n, done in zip(numbers, needed, strict=True)}
        height, width = self._header.height, self._header.width
        reference = reconstruct(
            self._network,
            reference_of(self._network, known, parsed.place),
            parsed.symbols,
            torch.tensor([parsed.record.rate_index]),
            self._prior.covered(height, width),
        )
        picture = displayed(reference, height, width)
        return Reconstructed(picture, hash_of(picture), without_displayed(reference))
