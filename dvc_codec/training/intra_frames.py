"""I frames for training: what a P frame's first reference looks like in real use."""

import io
import math

import av
import numpy as np
import torch
from torch import Tensor


def hevc_intra(luma: Tensor, chroma: Tensor, lagrangian: float) -> tuple[Tensor, Tensor]:
    """uint8 luma (h, w), chroma (2, h/2, w/2) -> the same, through one HEVC intra picture at the I
    frames' quality.
    """
    quantiser = min(51, max(0, round(66 - 4 * math.log2(lagrangian))))
    h, w = luma.shape
    planar = np.concatenate((luma.numpy(), chroma.contiguous().numpy().reshape(h // 2, w)))
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="hevc") as out:
        stream = out.add_stream("libx265", rate=30)
        stream.width, stream.height, stream.pix_fmt = w, h, "yuv420p"
        options = f"qp={quantiser}:log-level=none:pools=none:frame-threads=1"
        stream.options = {"preset": "fast", "x265-params": options}
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(planar), format="yuv420p")
        frame.pts = 0
        out.mux(stream.encode(frame) + stream.encode())
    buffer.seek(0)
    with av.open(buffer, "r", format="hevc") as back:
        decoded = next(back.decode(back.streams.video[0])).to_ndarray()
    pixels = torch.from_numpy(decoded.copy())
    return pixels[:h], pixels[h:].reshape(2, h // 2, w // 2)
