"""Pictures of a training step: what came in, what was made of it, where the bits went."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dvc_codec.codec.costs import law_costs
from dvc_codec.codec.p_frame import code_frame
from dvc_codec.networks.planes import Planes
from dvc_codec.training.replay import Taken, select
from dvc_codec.video.colours import flow_wheel

Rgb = NDArray[np.uint8]  # (H, W, 3)
COLUMNS = "frame, flow, prediction, residual x 4, reconstruction, bits"
MOST_ROWS = 4
FASTEST = 8.0  # pixels a frame: the edge of the colour wheel
MOST_BITS = 1.0  # per pixel: white


def save_sheet(module: Any, taken: Taken, step: int) -> Path:
    """Code the first samples' next frame with the average's weights; write a PNG with a row each:
    frame, flow as a colour wheel, prediction, residual, reconstruction, bit map.
    """
    rows = min(MOST_ROWS, len(taken.slots))
    index = torch.arange(rows, device=taken.rates.device)
    state, rates = select(taken.state, index), taken.rates[:rows]
    picture = Planes(*(plane[:rows] for plane in taken.pictures[0]))
    maps: list[Tensor] = []
    coded = code_frame(module.ema, picture, state, rates)
    sent = getattr(coded, "sent", coded.symbols)  # what is coded, where symbols are predicted
    for name, symbols in sent.items():
        bits = law_costs(name, coded.fine[name])(symbols).sum(1, keepdim=True)
        stride = picture.luma.shape[-1] // bits.shape[-1]
        maps.append(F.interpolate(bits / stride**2, scale_factor=stride, mode="nearest"))
    bit_map = torch.stack(maps).sum(0)
    decoded = coded.state.reference.picture
    flow = getattr(coded.prediction, "flow", None)
    sheets = []
    for n in range(rows):
        residual = 4 * (picture.luma[n, 0] - coded.prediction.picture.luma[n, 0]) + 0.5
        columns = [
            rgb(picture, n),
            flow_picture(flow[n], picture.luma.shape[-1]) if flow is not None else None,
            rgb(coded.prediction.picture, n),
            grey(residual),
            rgb(decoded, n),
            grey(bit_map[n, 0] / MOST_BITS),
        ]
        sheets.append(np.concatenate([c for c in columns if c is not None], 1))
    sheet = np.concatenate(sheets, 0)
    path = Path(module.trainer.default_root_dir) / "pictures" / f"step-{step:06d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(sheet))
    for logger in module.trainer.loggers:
        if hasattr(logger, "log_image"):  # wandb's
            logger.log_image("pictures", [str(path)], step=step, caption=[COLUMNS])
    return path


def rgb(picture: Planes, number: int) -> Rgb:
    """One of a batch, BT.709 limited range, to (H, W, 3)."""
    y = (picture.luma[number, 0].float().cpu() + 0.5) * 255 / 219 - 16 / 219
    chroma = F.interpolate(picture.chroma[number : number + 1].float().cpu(), scale_factor=2)
    u, v = chroma[0] * 255 / 224
    red, green, blue = y + 1.5748 * v, y - 0.1873 * u - 0.4681 * v, y + 1.8556 * u
    return _bytes(torch.stack((red, green, blue), -1))


def grey(plane: Tensor) -> Rgb:
    """(H, W) in [0, 1] -> (H, W, 3)."""
    return _bytes(plane.float().cpu()[..., None].expand(-1, -1, 3))


def flow_picture(flow: Tensor, width: int) -> Rgb:
    """(2, h, w) in pixels of its own grid -> (H, width, 3), see ``flow_wheel``."""
    scale = width // flow.shape[-1]
    large = F.interpolate(flow[None].float().cpu(), scale_factor=scale)[0] * scale
    return flow_wheel(large.numpy(), FASTEST)


def png(picture: Rgb) -> bytes:
    """(H, W, 3) uint8 as a PNG file."""
    height, width, _ = picture.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    rows = b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(picture))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 6))
        + chunk(b"IEND", b"")
    )


def _bytes(values: Tensor) -> Rgb:
    return np.asarray((values * 255).round().clamp(0, 255).to(torch.uint8).numpy())
