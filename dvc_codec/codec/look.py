"""What happens inside a file, frame by frame: bits by plane and block, flow, prediction, residual.

The decoder's own steps, with their intermediate results kept. For people, so approximate where it
may be: the bits of a frame are exact, how they fall on planes and blocks is an estimate.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvc_codec.codec.decoder import Decoder, FrameParser
from dvc_codec.codec.encoder import squared_error, weighted_psnr
from dvc_codec.codec.model import Model
from dvc_codec.codec.p_frame import finish
from dvc_codec.codec.pictures import hash_of, to_picture, to_planes
from dvc_codec.container import FrameRecord, Header, Reader
from dvc_codec.networks.planes import GRID
from dvc_codec.video import Picture, open_video

Map = NDArray[np.float32]


@dataclass(frozen=True)
class Insides:
    """A P frame's intermediate results, cropped to the picture.

    Args:
        flow: (2, h, w) displacement on the flow's grid, in its own pixels, x first; None where the
            network does not say.
        prediction: the predicted picture.
        residual: (H, W) luma of reconstruction minus prediction, in 8-bit levels.
        bits: (h, w) bits of all symbols of 16x16 blocks.
    """

    flow: Map | None
    prediction: Picture
    residual: Map
    bits: Map


@dataclass(frozen=True)
class FrameFacts:
    """A frame.

    Args:
        number: in the file, from 0.
        kind: "I" or "P".
        seconds: when it is shown.
        rate_index: step of the rate ladder.
        bits: by plane, of I frames "intra"; estimates that add up to the payload.
        exact: whether the picture is the encoder's.
        picture: the reconstruction.
        psnr: against the source, if there is one.
        source: its picture.
        insides: of P frames.
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
    """All frames of a .dvc file with what led to them.

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
        for number in range(len(reader.index)):
            gop = reader.read_gop(number)
            for position, record in enumerate(gop.frames, gop.first_frame):
                if position >= last:
                    return
                original = next(originals, None)
                if (
                    position < first
                    and number + 1 < len(reader.index)
                    and (reader.index[number + 1].first_frame <= first)
                ):
                    continue
                bits, picture, insides = state.step(record)
                if position < first:
                    continue
                psnr = None
                if original is not None:
                    psnr = weighted_psnr(squared_error(original, picture))
                yield FrameFacts(
                    position,
                    record.kind.name,
                    float(record.pts * reader.header.time_base),
                    record.rate_index,
                    bits,
                    hash_of(picture) == record.picture_hash,
                    picture,
                    psnr,
                    original,
                    insides,
                )


def _originals(source: str | Path | None, last: int) -> Iterator[Picture]:
    if source is None:
        return
    with open_video(source, frames=last, convert=True) as reader:
        for frame in reader:
            yield frame.picture


class _State:
    """What a decoder knows, with everything kept."""

    def __init__(self, model: Model, header: Header) -> None:
        self._network, self._parser = model.codec.network, FrameParser(model, header)
        self._height, self._width = header.height, header.width
        self._covered = model.codec.prior.covered(header.height, header.width)
        self._reference: Any = None

    def step(self, record: FrameRecord) -> tuple[dict[str, int], Picture, Insides | None]:
        payload_bits = 8 * sum(map(len, record.payloads))
        parsed = self._parser.parse(record)
        if parsed.still is not None:
            self._reference = self._network.start(to_planes(parsed.still))
            return {"intra": payload_bits}, parsed.still, None
        rate = torch.tensor([record.rate_index])
        prediction = self._network.predict(self._reference, parsed.symbols, rate)
        self._reference = finish(
            self._network, self._reference, prediction, parsed.symbols, rate, self._covered
        )
        picture = to_picture(self._reference.picture, self._height, self._width)
        before = to_picture(prediction.picture, self._height, self._width)
        maps = {name: _bits_of(plane) for name, plane in parsed.symbols.items()}
        estimate = {name: float(plane.sum()) for name, plane in maps.items()}
        scale = payload_bits / max(1e-6, sum(estimate.values()))
        flow = getattr(prediction, "flow", None)
        insides = Insides(
            None if flow is None else _cropped(flow[0].float().numpy(), self._height, self._width),
            before,
            picture.y.astype(np.float32) - before.y,
            scale * _blocks(list(maps.values()), self._height, self._width),
        )
        return {name: round(bits * scale) for name, bits in estimate.items()}, picture, insides


def _bits_of(plane: Tensor) -> Map:
    """(h, w) of a plane: about what its symbols cost, by how rare those are that are not zero."""
    magnitude: Map = plane[0].abs().float().numpy()
    busy = magnitude > 0
    rarity = -np.log2(max(1.0, float(busy.sum())) / busy.size)
    bits: Map = (busy * (1 + rarity + 2 * np.log2(np.maximum(magnitude, 1)))).sum(0)
    return bits


def _blocks(maps: list[Map], height: int, width: int) -> Map:
    """Sums over 16x16 pixels of the picture, of planes of any grid."""
    full = (height + -height % GRID) // 16, (width + -width % GRID) // 16
    total = np.zeros(full, np.float32)
    for plane in maps:
        h, w = plane.shape
        if h >= full[0]:
            total += plane.reshape(full[0], h // full[0], full[1], w // full[1]).sum((1, 3))
        else:
            fy, fx = full[0] // h, full[1] // w
            total += np.repeat(np.repeat(plane, fy, 0), fx, 1) / (fy * fx)
    return total[: -(-height // 16), : -(-width // 16)]


def _cropped(flow: Map, height: int, width: int) -> Map:
    full_h = height + -height % GRID
    cell = full_h // flow.shape[-2]
    return flow[:, : -(-height // cell), : -(-width // cell)]
