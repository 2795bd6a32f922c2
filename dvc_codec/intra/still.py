"""One still picture through one encoder or decoder of FFmpeg, in memory, silently.

Every codec here codes the picture padded by replication to a multiple of 8 and to at least 64 x 64,
and the decoder crops: one rule, so that no codec's own limits on sizes matter.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import cast

import av
import av.error
import av.logging
import numpy as np
from av.video.codeccontext import VideoCodecContext

from dvc_codec.errors import DamagedFile, OutOfRange
from dvc_codec.video import Picture, Plane

SMALLEST = 64
_MULTIPLE = 8


def padded_size(width: int, height: int) -> tuple[int, int]:
    """(width, height) of the picture that is coded for one of ``width`` x ``height``.

    >>> padded_size(1, 1), padded_size(417, 240)
    ((64, 64), (424, 240))
    """
    return _padded(width), _padded(height)


def check_qp(name: str, qp: int, allowed: range) -> None:
    """Refuse a QP that codec ``name`` does not have."""
    if qp not in allowed:
        raise OutOfRange(f"{name} QP {qp}; it has {allowed[0]} to {allowed[-1]}")


def packed(picture: Picture, width: int, height: int) -> Plane:
    """Y, U and V padded to ``width`` x ``height``, one after the other: (height * 3 / 2, width), as
    PyAV takes yuv420p.
    """
    planes = [
        np.pad(plane, ((0, rows - plane.shape[0]), (0, columns - plane.shape[1])), mode="edge")
        for plane, rows, columns in zip(
            picture.planes,
            (height, height // 2, height // 2),
            (width, width // 2, width // 2),
            strict=True,
        )
    ]
    return np.concatenate([plane.reshape(-1) for plane in planes]).reshape(-1, width)


def encode_still(picture: Picture, encoder: str, options: dict[str, str]) -> bytes:
    """All bytes that FFmpeg's ``encoder`` makes of ``picture``, single-threaded.

    Raises:
        OutOfRange: the encoder does not take a picture of this size.
    """
    width, height = padded_size(picture.width, picture.height)
    frame = av.VideoFrame.from_ndarray(packed(picture, width, height), format="yuv420p")
    context = cast(VideoCodecContext, av.CodecContext.create(encoder, "w"))
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate = Fraction(1), Fraction(1)
    context.thread_count = 1
    context.options = options
    try:
        with av.logging.Capture(), priority_kept():
            packets = [*context.encode(frame), *context.encode(None)]
    except av.error.FFmpegError as error:
        raise OutOfRange(
            f"{encoder} cannot code a picture of {picture.width} x {picture.height}: "
            f"{error.strerror}"
        ) from error
    return b"".join(bytes(packet) for packet in packets)


@contextmanager
def priority_kept() -> Iterator[None]:
    """Give the thread back the scheduling it had.

    SVT-AV1, when root runs it, makes its caller a real-time thread of the highest priority, and
    leaves it so: threads made later inherit that, and nothing else on the machine gets to run.
    """
    if sys.platform != "linux":
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, parameters)


def decode_still(
    data: bytes, decoder: str, width: int, height: int, pixel_format: str = "yuv420p"
) -> Picture:
    """The picture of ``width`` x ``height`` that FFmpeg's ``decoder`` makes of ``data``.

    ``pixel_format`` is what it must come in: "yuv420p" or "yuv420p10le", whose samples are rounded
    to 8 bits.

    Raises:
        DamagedFile: there is no such picture in ``data``.
    """
    padded = padded_size(width, height)
    context = cast(VideoCodecContext, av.CodecContext.create(decoder, "r"))
    context.thread_count = 1
    # No memory for pictures far larger than expected; twice for FFmpeg's alignment of the buffers.
    context.options = {"max_pixels": str(2 * padded[0] * padded[1]), "err_detect": "explode"}
    try:
        with av.logging.Capture():
            frames = [*context.decode(av.Packet(data)), *context.decode(None)] if data else []
    except av.error.FFmpegError as error:
        raise DamagedFile(f"I frame of {len(data)} bytes: {decoder} cannot decode it") from error
    if len(frames) != 1 or frames[0].is_corrupt:
        raise DamagedFile(
            f"I frame of {len(data)} bytes: {decoder} finds {len(frames)} whole pictures in it, "
            "expected 1"
        )
    frame = frames[0]
    found = frame.width, frame.height, frame.format.name
    if found != (*padded, pixel_format):
        raise DamagedFile(f"I frame: {decoder} finds {found}, expected {(*padded, pixel_format)}")
    ten_bits = pixel_format == "yuv420p10le"
    chroma_width, chroma_height = (width + 1) // 2, (height + 1) // 2
    return Picture(
        _cropped(frame.planes[0], width, height, ten_bits),
        _cropped(frame.planes[1], chroma_width, chroma_height, ten_bits),
        _cropped(frame.planes[2], chroma_width, chroma_height, ten_bits),
    )


def _padded(length: int) -> int:
    return max(SMALLEST, -(-length // _MULTIPLE) * _MULTIPLE)


def _cropped(plane: av.video.plane.VideoPlane, width: int, height: int, ten_bits: bool) -> Plane:
    samples = np.frombuffer(memoryview(plane), "<u2" if ten_bits else np.uint8)
    samples = samples.reshape(-1, plane.line_size // samples.itemsize)[:height, :width]
    if ten_bits:
        samples = np.minimum((samples + 2) >> 2, 255).astype(np.uint8)
    return samples.copy()
