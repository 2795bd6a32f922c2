"""What happens inside a file, frame by frame: bits by plane and block, flow, prediction, residual.

The decoder's own steps, with their intermediate results kept. The bits of a frame are exact; those
of planes and blocks are what their symbols cost by the statistics, scaled to add up to the frame's.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvc_codec.codec.block_bits import BLOCK, block_bits
from dvc_codec.codec.decoder import Decoder
from dvc_codec.codec.frame_decoder import FrameParser, Parsed
from dvc_codec.codec.frame_encoder import squared_error, weighted_psnr
from dvc_codec.codec.memory import PictureMemory
from dvc_codec.codec.model import Model
from dvc_codec.codec.p_frame import finish
from dvc_codec.codec.pictures import displayed, hash_of, to_picture, to_planes, without_displayed
from dvc_codec.codec.turns import InTurn
from dvc_codec.container import FrameKind, FrameRecord, Header, Place, Reader, places
from dvc_codec.networks.planes import GRID
from dvc_codec.video import Picture, open_video

Map = NDArray[np.float32]


@dataclass(frozen=True)
class Insides:
    """A P or B frame's intermediate results, cropped to the picture.

    Args:
        flow: (2, h, w) displacement on the flow's grid, in luma pixels, x first, to the earlier
            of the pictures it is predicted from; None where the network does not say.
        flow_cell: luma pixels of a side of a cell of ``flow``.
        prediction: the predicted picture.
        residual: (H, W) luma of reconstruction minus prediction, in 8-bit levels.
        bits: (h, w) bits of all symbols of 16x16 blocks.
    """

    flow: Map | None
    flow_cell: int
    prediction: Picture
    residual: Map
    bits: Map


@dataclass(frozen=True)
class FrameFacts:
    """A frame.

    Args:
        number: in the file, from 0, in display order.
        kind: "I", "P" or "B".
        seconds: when it is shown.
        rate_index: step of the rate ladder.
        bits: by plane, of I frames "intra"; they add up to the payload.
        exact: whether the picture is the encoder's.
        picture: the reconstruction.
        psnr: against the source, if there is one.
        source: its picture.
        insides: of P and B frames.
    """

    number: int
    kind: str
    seconds: float
    rate_index: int
    bits: Mapping[str, int]
    exact: bool
    picture: Picture
    psnr: float | None = None
    source: Picture | None = None
    insides: Insides | None = field(default=None, repr=False)


def look_into(
    file: Path,
    model: Model,
    *,
    source: str | Path | None = None,
    first: int = 0,
    count: int | None = None,
) -> Iterator[FrameFacts]:
    """All frames of a .dvc file in display order, with what led to them.

    Args:
        file: the .dvc file; a damaged one raises DamagedFile where it is damaged.
        model: the weights that it names.
        source: the video it was made from, for PSNR; its first frame is the file's.
        first: the first frame that is given out.
        count: how many at most.
    """
    with Decoder(file, model, strict=True) as decoder:
        last = decoder.frame_count if count is None else min(decoder.frame_count, first + count)
    originals = _originals(source, last)
    with Reader(file) as reader, torch.inference_mode():
        state = _State(model, reader.header)
        turns: InTurn[FrameFacts | None] = InTurn()  # None: nobody looks into it
        for entry in range(len(reader.index)):
            gop = reader.read_gop(entry)
            if gop.first_frame + len(gop.frames) <= first:
                deque(islice(originals, len(gop.frames)), maxlen=0)
                continue
            turns.begin(gop.first_frame)
            for record, place in zip(gop.frames, places(gop), strict=True):
                number = gop.first_frame + place.number
                facts = None
                if first <= number < last:
                    facts = state.step(number, record, place)
                else:
                    state.pass_over(record, place)
                for here, ready in turns.add(number, facts):
                    original = next(originals, None)
                    if ready is not None:
                        yield ready if original is None else _beside(ready, original)
                    if here >= last - 1:
                        return


def _beside(facts: FrameFacts, original: Picture) -> FrameFacts:
    psnr = weighted_psnr(squared_error(original, facts.picture))
    return replace(facts, psnr=psnr, source=original)


def _originals(source: str | Path | None, last: int) -> Iterator[Picture]:
    if source is None:
        return
    with open_video(source, frames=last, convert=True) as reader:
        for frame in reader:
            yield frame.picture


class _State:
    """What a decoder knows, with everything kept."""

    def __init__(self, model: Model, header: Header) -> None:
        self._codec, self._network = model.codec, model.codec.network
        self._parser = FrameParser(model, header)
        self._height, self._width, self._time_base = header.height, header.width, header.time_base
        self._covered = model.codec.prior.covered(header.height, header.width)
        self._pictures = PictureMemory(model.codec)

    def pass_over(self, record: FrameRecord, place: Place) -> None:
        """A frame that nobody looks into."""
        self._advance(self._parser.parse(record, place))

    def _advance(self, parsed: Parsed) -> tuple[Any, Any]:
        """Make the next reference. -> the prediction and it; of an I frame nothing."""
        if parsed.still is not None:
            self._pictures.begin(to_planes(parsed.still), parsed.place.number)
            return None, None
        rate = torch.tensor([parsed.record.rate_index])
        known = self._pictures.of(parsed.place)
        prediction = self._network.predict(known, parsed.symbols, rate)
        reference = finish(self._network, known, prediction, parsed.symbols, rate, self._covered)
        self._pictures.add(parsed.place, without_displayed(reference))
        return prediction, reference

    def step(self, number: int, record: FrameRecord, place: Place) -> FrameFacts:
        """All there is to know of a frame but for its source."""
        bits, picture, insides = self._taken_apart(record, place)
        return FrameFacts(
            number,
            record.kind.name,
            float(record.pts * self._time_base),
            record.rate_index,
            bits,
            hash_of(picture) == record.picture_hash,
            picture,
            insides=insides,
        )

    def _taken_apart(
        self, record: FrameRecord, place: Place
    ) -> tuple[dict[str, int], Picture, Insides | None]:
        payload_bits = 8 * sum(map(len, record.payloads))
        kind, memory = record.kind, self._parser.memory
        coded_with = None
        if kind != FrameKind.I and memory.begun:
            coded_with = self._codec.prior_of(kind), memory.statistics(kind), memory.past(kind)
        parsed = self._parser.parse(record, place)
        prediction, reference = self._advance(parsed)
        if parsed.still is not None:
            return {"intra": payload_bits}, parsed.still, None
        assert coded_with is not None  # or the parser would have refused
        prior, statistics, past = coded_with
        picture = displayed(reference, self._height, self._width)
        before = to_picture(prediction.picture, self._height, self._width)
        maps = block_bits(prior, statistics, parsed.symbols, parsed.sent, parsed.lifts, past)
        estimate = {name: float(plane.sum()) for name, plane in maps.items()}
        scale = payload_bits / max(1e-6, sum(estimate.values()))
        rows, columns = -(-self._height // BLOCK), -(-self._width // BLOCK)
        insides = Insides(
            *self._flow_of(prediction),
            before,
            picture.y.astype(np.float32) - before.y,
            (scale * torch.stack(list(maps.values())).sum(0))[:rows, :columns].numpy(),
        )
        return {name: round(bits * scale) for name, bits in estimate.items()}, picture, insides

    def _flow_of(self, prediction: object) -> tuple[Map | None, int]:
        """Networks have it in pixels of its own grid, and call it ``flow`` if they keep it."""
        flow = getattr(prediction, "flow", None)
        if not isinstance(flow, Tensor):
            return None, 1
        cell = (self._width + -self._width % GRID) // flow.shape[-1]
        shown = flow[0, :, : -(-self._height // cell), : -(-self._width // cell)].float() * cell
        return shown.numpy(), cell
