"""--csv: what every frame cost and how good it is, a line each."""

import csv
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from dvc_codec.cli.options import writable_part
from dvc_codec.errors import CannotWrite

if TYPE_CHECKING:
    from dvc_codec.codec.frame_encoder import EncodedFrame

COLUMNS = (
    "frame",
    "kind",
    "pts",
    "rate_index",
    "intra_bits",
    "motion_bits",
    "residual_bits",
    "mse_y",
    "mse_u",
    "mse_v",
    "psnr",
)


class FrameTable:
    """A CSV file being written; without a path, nothing. It has its name only when it is whole."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._rows = 0
        self._group: list[EncodedFrame] = []
        if path is None:
            return
        self._part = writable_part(path)
        try:
            self._file = self._part.open("w", newline="")
            self._csv = csv.writer(self._file)
            self._csv.writerow(COLUMNS)
        except OSError as error:
            raise self._cannot_write(error) from error

    def add(self, frame: "EncodedFrame") -> None:
        """Add a line for the next frame in coding order; lines come in display order."""
        if self._path is None:
            return
        if frame.record.intra_codec is not None:
            self._write()
        self._group.append(frame)

    def _write(self) -> None:
        """The lines of a whole group."""
        for frame in sorted(self._group, key=lambda frame: frame.record.pts):
            self._write_line(frame)
        self._group.clear()

    def _write_line(self, frame: "EncodedFrame") -> None:
        from dvc_codec.codec.frame_encoder import weighted_psnr

        bits = (frame.bits.get(part, 0) for part in ("intra", "motion", "residual"))
        record = frame.record
        row = (self._rows, record.kind.name, record.pts, record.rate_index, *bits)
        errors = (f"{error:.4f}" for error in frame.squared_error)
        try:
            self._csv.writerow((*row, *errors, f"{weighted_psnr(frame.squared_error):.4f}"))
        except OSError as error:
            raise self._cannot_write(error) from error
        self._rows += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._path is None:
            return
        try:
            if error is None:
                self._write()
            self._file.close()
            if error is None:
                os.replace(self._part, self._path)
        except OSError as failed:
            if error is None:
                raise self._cannot_write(failed) from failed
        finally:
            with suppress(OSError):
                self._part.unlink(missing_ok=True)

    def _cannot_write(self, error: OSError) -> CannotWrite:
        return CannotWrite(f"{self._path}: cannot be written: {error.strerror or error}")
