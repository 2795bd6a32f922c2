"""One P frame of a .dvc file taken apart, as a decoder sees it: no source, no encoder."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dvc_codec.codec import symbols
from dvc_codec.codec.model import Model
from dvc_codec.codec.p_frame import finish, table_costs
from dvc_codec.codec.pictures import to_picture, to_planes
from dvc_codec.container import FrameKind, FrameRecord, Reader
from dvc_codec.entropy.prior import FramePrior, Symbols
from dvc_codec.entropy.tables import Tables
from dvc_codec.errors import DamagedFile
from dvc_codec.intra import by_id
from dvc_codec.networks.planes import GRID
from dvc_codec.video import Picture

BLOCK = 16  # luma pixels of a side of a cell of ``Inside.bits``


@dataclass(frozen=True, eq=False)
class Inside:
    """What a decoder knows of a P frame.

    Args:
        frame: its number.
        decoded: what it shows.
        prediction: what it knew before the residual.
        flow: (2, H, W) in luma pixels, x first; (2, 0, 0) from a network that shows none.
        bits: (ceil(H / 16), ceil(W / 16)), what the symbols of each block cost, by the tables.
        payload_bits: of the whole frame, in the file.
    """

    frame: int
    decoded: Picture
    prediction: Picture
    flow: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
    bits: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
    payload_bits: int


@torch.inference_mode()
def take_apart(coded: Path, model: Model, wanted: int) -> Inside:
    """The last P frame up to frame number ``wanted``.

    Raises DamagedFile if there is none.
    """
    with Reader(coded) as reader:
        header = reader.header
        records = [r for n in range(len(reader.index)) for r in reader.read_gop(n).frames]
    while wanted >= 0 and records[wanted].kind is not FrameKind.P:
        wanted -= 1
    if wanted < 0:
        raise DamagedFile(f"{coded}: has no P frame")
    begin = max(n for n in range(wanted) if records[n].kind is FrameKind.I)
    network, prior = model.codec.network, model.codec.prior
    height, width = header.height, header.width
    still = by_id(_intra_codec(records[begin])).decode(records[begin].payloads[0], width, height)
    reference = network.start(to_planes(still))
    past: Symbols = prior.nothing(1, height, width)
    tables = prior.tables()
    for record in records[begin + 1 : wanted + 1]:
        rate = torch.tensor([record.rate_index])
        payload = record.payloads[0]
        now, sent, after = symbols.read(prior, tables, payload, past)
        prediction = network.predict(reference, now, rate)
        covered = prior.covered(height, width)
        reference = finish(network, reference, prediction, now, rate, covered)
        if record is records[wanted]:
            rows, columns = -(-height // BLOCK), -(-width // BLOCK)
            bits = block_bits(prior, tables, now, sent, past)[:rows, :columns]
            return Inside(
                wanted,
                to_picture(reference.picture, height, width),
                to_picture(prediction.picture, height, width),
                _flow_of(prediction, height, width),
                bits.numpy(),
                8 * len(payload),
            )
        past, tables = {name: plane.abs() for name, plane in sent.items()}, after
    raise AssertionError("the wanted frame is among the records")


def block_bits(
    prior: FramePrior, tables: dict[str, Tables], now: Symbols, sent: Symbols, past: Symbols
) -> Tensor:
    """Bits per block of 16x16 luma pixels, (H / 16, W / 16), by the tables of this frame."""
    cost_of = table_costs(prior, tables)
    total = torch.zeros(())
    for plane in prior.planes:
        name = plane.name
        values, coded, before = now[name], sent[name], past[name]
        scale, side = prior.scale(name), prior.side(name, sent, past)
        fine, known = torch.zeros_like(coded), torch.zeros_like(coded)
        height, width = coded.shape[-2:]
        values = values[..., :height, :width]
        for number, part in enumerate(scale.steps(height, width, coded.device)):
            _, levels = scale.step(number, before, side, coded * known, values * known)
            fine, known = part.put(fine, levels), part.put(known, torch.ones_like(levels))
        bits = cost_of(name, fine)(coded).sum(1, keepdim=True)
        total = total + _on_blocks(bits, plane.stride)
    return total[0, 0]


def _on_blocks(bits: Tensor, stride: int) -> Tensor:
    if stride <= BLOCK:
        each = BLOCK // stride
        return F.avg_pool2d(bits, each) * each**2
    each = stride // BLOCK
    return bits.repeat_interleave(each, -1).repeat_interleave(each, -2) / each**2


def _flow_of(
    prediction: object, height: int, width: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """A flow is in pixels of its own grid; networks call it ``flow``, if they keep it."""
    flow = getattr(prediction, "flow", None)
    if not isinstance(flow, Tensor):
        return np.zeros((2, 0, 0), np.float32)
    unit = (width + -width % GRID) // flow.shape[-1]
    large = flow[0].float().repeat_interleave(unit, -1).repeat_interleave(unit, -2) * unit
    found: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = large[:, :height, :width].numpy()
    return found


def _intra_codec(record: FrameRecord) -> int:
    if record.intra_codec is None:
        raise DamagedFile("an I frame does not say which codec it is of")
    return record.intra_codec
