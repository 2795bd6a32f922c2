"""Packed shards: HEVC files of equal clips, each clip starting with a key frame, and their index.

clips.csv has a row per clip: shard, first_frame, frames, layout, and whatever the caller adds.
"""

import csv
import os
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from dvc_codec.errors import CannotWrite, OutOfRange

Planar = NDArray[np.uint8]  # (3 H / 2, W): all of Y, then U, then V
RATE = Fraction(30)  # means nothing
YUV, PLANAR = "yuv", "planar"


class ShardWriter:
    """Writes clips one after the other; the index appears when all is written.

    Args:
        folder: for the shards; it must not hold an index yet.
        length: frames of every clip.
        per_shard: clips of a file.
        crf: libx265's. 8 keeps about 47 dB at 448x256.
        layout: "yuv", or "planar": Y, U and V below each other in the luma plane of a full-range
            file, which OpenCV reads to the bit.
    """

    def __init__(
        self,
        folder: Path,
        length: int,
        *,
        per_shard: int = 300,
        crf: float = 8,
        layout: str = YUV,
        preset: str = "medium",
    ) -> None:
        if (folder / "clips.csv").exists():
            raise CannotWrite(f"{folder}: holds clips already; choose another folder")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.length, self.per_shard = folder, length, per_shard
        self.crf, self.layout, self.preset = crf, layout, preset
        self.rows: list[dict[str, Any]] = []
        self._file: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._shape: tuple[int, ...] = ()
        self._in_shard = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end_shard()
        if kind is None and self.rows:
            columns = list(dict.fromkeys(name for row in self.rows for name in row))
            part = self.folder / "clips.csv.part"
            with part.open("w", newline="") as file:
                writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
                writer.writeheader()
                writer.writerows(self.rows)
            os.replace(part, self.folder / "clips.csv")

    def write(self, clip: Planar, about: Mapping[str, object] | None = None) -> None:
        """A clip: uint8 (length, 3 H / 2, W). ``about`` goes into its row of the index."""
        if len(clip) != self.length or (self._shape and clip.shape[1:] != self._shape):
            raise OutOfRange(f"clip {clip.shape}: expected {(self.length, *self._shape)}")
        self._shape = clip.shape[1:]
        if self._file is None or self._in_shard == self.per_shard:
            self._end_shard()
            self._begin_shard()
        assert self._file is not None and self._stream is not None
        first = self._in_shard * self.length
        place = {"shard": self._shard(), "first_frame": first, "frames": self.length}
        for number, planar in enumerate(clip):
            frame = self._frame(planar)
            frame.pts = first + number
            self._file.mux(self._stream.encode(frame))
        self.rows.append(place | {"layout": self.layout} | dict(about or {}))
        self._in_shard += 1

    def _shard(self) -> int:
        return len(self.rows) // self.per_shard

    def _frame(self, planar: Planar) -> av.VideoFrame:
        if self.layout == PLANAR:
            grey = np.full((len(planar) // 2, planar.shape[1]), 128, np.uint8)
            return av.VideoFrame.from_ndarray(np.concatenate((planar, grey)), format="yuvj420p")
        return av.VideoFrame.from_ndarray(np.ascontiguousarray(planar), format="yuv420p")

    def _begin_shard(self) -> None:
        rows, width = self._shape
        self._file = av.open(str(self.folder / f"shard-{self._shard()}.mp4"), "w")
        stream = self._file.add_stream("libx265", rate=RATE)
        stream.width, stream.height = width, rows if self.layout == PLANAR else rows * 2 // 3
        stream.pix_fmt = "yuvj420p" if self.layout == PLANAR else "yuv420p"
        gop = f"keyint={self.length}:min-keyint={self.length}:scenecut=0:open-gop=0"
        stream.options = {
            "preset": self.preset,
            "crf": f"{self.crf:g}",
            "x265-params": f"log-level=none:{gop}",
        }
        self._stream, self._in_shard = stream, 0

    def _end_shard(self) -> None:
        if self._file is not None and self._stream is not None:
            self._file.mux(self._stream.encode(None))
            self._file.close()
        self._file = self._stream = None
