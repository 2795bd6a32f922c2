"""Files of training clips to arrays, with PyAV, or with OpenCV where that is all there is."""

import io
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvc_codec.errors import FileMissing
from dvc_codec.training.absent import present

Planar = NDArray[np.uint8]


def decode_shard(
    path: Path, clips: Sequence[tuple[int, int]], planar: bool = False
) -> Iterator[Planar | str]:
    """Every clip (first frame, frames) of a shard in turn: uint8 (frames, 3 H / 2, W), or why not.

    Args:
        planar: the file's luma plane holds Y, U and V below each other (``data_prep/pack.py``).
    """
    clips = sorted(clips)
    frames = _numbered_frames(path, planar)
    held: dict[int, Planar] = {}
    trouble = ""
    for first, length in clips:
        wanted = range(first, first + length)
        while not trouble and (not held or max(held) < wanted[-1]):
            try:
                number, picture = next(frames)
                held[number] = picture
            except StopIteration:
                trouble = "the file ends"
            except (OSError, ValueError) as error:
                trouble = str(error)
        held = {n: p for n, p in held.items() if n >= first}
        missing = sum(n not in held for n in wanted)
        if missing:
            why = f": {trouble}" if trouble else ""
            yield f"{path}: clip at frame {first} lacks {missing} of its {length} pictures{why}"
        else:
            yield np.stack([held[n] for n in wanted])


def decode_clip(content: bytes, name: str) -> Planar | str:
    """A clip that is a file of its own: uint8 (frames, 3 H / 2, W), or why not."""
    if not present("av"):
        return f"{name}: needs PyAV"
    try:
        pictures = [picture for _, picture in _with_av(io.BytesIO(content))]
    except (OSError, ValueError, IndexError) as error:
        return f"{name}: {error}"
    return np.stack(pictures) if pictures else f"{name}: holds no picture"


def read_septuplet(folder: Path, length: int) -> Planar | str:
    """``im1.png`` and so on -> uint8 (length, 3 H / 2, W), or why not. RGB becomes BT.601 4:2:0."""
    pictures: list[Planar] = []
    for number in range(1, length + 1):
        picture = _read_image(folder / f"im{number}.png")
        if isinstance(picture, str):
            return picture
        if pictures and picture.shape != pictures[0].shape:
            return f"{folder}: im{number}.png is of another size than im1.png"
        pictures.append(picture)
    return np.stack(pictures)


def complain(line: str) -> None:
    """Say on standard error why a clip is left out."""
    print(f"skipped: {line}", file=sys.stderr)


def misshapen(what: str, found: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """Why a clip does not go with the others: shapes as of :func:`decode_clip`."""
    said = [f"{n} pictures of {width}x{rows * 2 // 3}" for n, rows, width in (found, expected)]
    return f"{what} is {said[0]}, not {said[1]}"


def _numbered_frames(path: Path, planar: bool) -> Iterator[tuple[int, Planar]]:
    if not path.is_file():
        raise FileMissing(f"{path}: the index names it, but it is not there")
    frames = _with_av(path) if present("av") else _with_opencv(path, planar)
    if not planar:
        return frames
    # Below Y, U and V lies grey chroma, which no one needs
    return ((n, p[: len(p) * 2 // 3] if present("av") else p) for n, p in frames)


def _with_av(source: Path | io.BytesIO) -> Iterator[tuple[int, Planar]]:
    """Frames by their time, so that one that does not decode shifts no other."""
    import av
    import av.error
    import av.logging

    with (
        av.logging.Capture(),
        av.open(str(source) if isinstance(source, Path) else source, "r") as container,
    ):
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.options = {"err_detect": "explode"}  # or damage would pass as picture
        rate, base = stream.average_rate, stream.time_base
        assert rate is not None and base is not None
        packets: Iterator[Any] = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                frames = packet.decode()
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                continue  # its clip will be found to lack pictures
            for frame in frames:
                if not frame.is_corrupt and frame.pts is not None:
                    yield round(frame.pts * base * rate), frame.to_ndarray()


def _with_opencv(path: Path, planar: bool) -> Iterator[tuple[int, Planar]]:
    import cv2

    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not planar:
        logging.getLogger(__name__).warning(
            "%s: read with OpenCV, which goes through RGB (2 levels of error); "
            "data_prep/pack.py makes files that it reads exactly",
            path,
        )
    number = 0
    while True:
        there, picture = capture.read()
        if not there:
            return
        # Full-range grey: blue is luma to the bit
        yield (
            number,
            (
                np.ascontiguousarray(picture[..., 0], np.uint8)
                if planar
                else np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420), np.uint8)
            ),
        )
        number += 1


def _read_image(path: Path) -> Planar | str:
    if not path.is_file():
        return f"{path}: is missing"
    if not present("av"):
        import cv2

        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            return f"{path}: is no whole picture"
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420), np.uint8)
    import av
    import av.error
    import av.logging

    try:
        with av.logging.Capture(), av.open(str(path)) as opened:
            frame = next(opened.decode(video=0))
            if frame.is_corrupt or not path.read_bytes()[-12:].startswith(b"\0\0\0\0IEND"):
                return f"{path}: is cut off"
            if frame.width % 2 or frame.height % 2:
                return f"{path}: found {frame.width}x{frame.height}, expected even sizes"
            return np.asarray(frame.reformat(format="yuv420p").to_ndarray(), np.uint8)
    except (av.error.FFmpegError, StopIteration, OSError) as error:
        return f"{path}: is no whole picture ({error})"
