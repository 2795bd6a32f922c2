"""What happens inside a file, frame by frame: bits by plane and block, flow, prediction, residual.

The decoder's own steps, with their intermediate results kept. For people, so approximate where it
may be: bits by block are what the tables say each symbol costs, not bytes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvc_codec.codec import symbols
from dvc_codec.codec.decoder import Decoder
from dvc_codec.codec.encoder import squared_error, weighted_psnr
from dvc_codec.codec.model import Model
from dvc_codec.codec.p_frame import table_costs
from dvc_codec.codec.pictures import hash_of, to_picture, to_planes
from dvc_codec.container import FrameKind, FrameRecord, Reader
from dvc_codec.entropy.prior import FramePrior
from dvc_codec.entropy.scale import first_step_mask
from dvc_codec.entropy.tables import Tables
from dvc_codec.intra import by_id
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
        state = _State(model)
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
                bits, picture, insides = state.step(
                    record, reader.header.height, reader.header.width
                )
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

    def __init__(self, model: Model) -> None:
        self._codec = model.codec
        self._reference: Any = None
        self._past: Mapping[str, Tensor] = {}
        self._tables: dict[str, Tables] = {}

    def step(
        self, record: FrameRecord, height: int, width: int
    ) -> tuple[dict[str, int], Picture, Insides | None]:
        network, prior = self._codec.network, self._codec.prior
        payload = record.payloads[0]
        if record.kind == FrameKind.I:
            assert record.intra_codec is not None
            picture = by_id(record.intra_codec).decode(payload, width, height)
            self._reference = network.start(to_planes(picture))
            self._past = prior.nothing(1, height + -height % GRID, width + -width % GRID)
            self._tables = prior.tables()
            return {"intra": 8 * len(payload)}, picture, None
        tables, past = self._tables, self._past
        read, self._tables = symbols.read(prior, tables, payload, past)
        maps = {name: _bits_of(prior, name, read, past, tables) for name in read}
        rate = torch.tensor([record.rate_index])
        prediction = network.predict(self._reference, read, rate)
        self._reference = network.finish(self._reference, prediction, read, rate)
        self._past = {name: plane.abs() for name, plane in read.items()}
        picture = to_picture(self._reference.picture, height, width)
        before = to_picture(prediction.picture, height, width)
        flow = getattr(prediction, "flow", None)
        insides = Insides(
            None if flow is None else _cropped(flow[0].float().numpy(), height, width),
            before,
            picture.y.astype(np.float32) - before.y,
            _blocks(list(maps.values()), height, width),
        )
        estimate = {name: float(plane.sum()) for name, plane in maps.items()}
        scale = 8 * len(payload) / max(1e-6, sum(estimate.values()))
        return {name: round(bits * scale) for name, bits in estimate.items()}, picture, insides


def _bits_of(
    prior: FramePrior,
    name: str,
    now: Mapping[str, Tensor],
    past: Mapping[str, Tensor],
    tables: Mapping[str, Tables],
) -> Map:
    """(h, w) of a plane: what the tables say its symbols cost."""
    scale, side, plane = prior.scale(name), prior.side(name, now, past), now[name]
    mask = first_step_mask(plane.shape[-2], plane.shape[-1], plane.device)
    first = scale.first(past[name], side)
    second = scale.second(past[name], side, (plane * mask).abs())
    costs = table_costs(prior, tables)(name, torch.where(mask, first, second))
    bits: Map = costs(plane)[0].sum(0).float().numpy()
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
