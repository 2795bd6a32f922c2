"""Writes a .dvc file: append-only, under another name until it is whole."""

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from dvc_codec.container.chunks import (
    GOP,
    INDEX,
    PACKETS,
    check_packet,
    chunk,
    footer,
    index_body,
    packets_body,
)
from dvc_codec.container.frames import gop_body
from dvc_codec.container.header import header_bytes
from dvc_codec.container.reader import Reader
from dvc_codec.container.records import (
    ByteCounts,
    FrameKind,
    Gop,
    Header,
    IndexEntry,
    Packet,
)
from dvc_codec.errors import CannotWrite, DamagedFile, OutOfRange, UsageError

_PACKETS_HELD = 1024
_PACKET_BYTES_HELD = 1 << 20


@dataclass(frozen=True)
class ResumedFrame:
    """What is kept of a frame that an interrupted run has written."""

    kind: FrameKind
    pts: int
    payload_bytes: int


class Writer:
    """Writes to ``NAME.part`` beside ``target`` and gives it its name when it is whole.

    Leaving the ``with`` block finishes the file; leaving it with an exception removes the part.

    Args:
        target: the file to make; one of that name is replaced at the end.
        header: see ``Header``.
        keep_partial: keep ``NAME.part`` after an exception; its GOPs can be read.
        resume: go on after the last whole GOP of a ``NAME.part`` that has the same header.

    Attributes:
        resumed: the frames that were there; empty where nothing was.

    Raises:
        CannotWrite: the place cannot be written to, or the disk is full; so do all methods.
        UsageError: the part to go on with has another header.
        OutOfRange: something is beyond a limit of the format; so do ``write_gop`` and
            ``write_packet``, and the file stays as it was.
    """

    def __init__(
        self, target: Path, header: Header, *, keep_partial: bool = False, resume: bool = False
    ) -> None:
        self.target = Path(target)
        self.partial = self.target.with_name(self.target.name + ".part")
        self.byte_counts = ByteCounts()
        self.frame_count = 0
        self._header = header
        self._keep_partial = keep_partial
        self._index: list[IndexEntry] = []
        self._packets: list[Packet] = []
        self._packet_bytes = 0
        self.resumed: list[ResumedFrame] = []
        start = header_bytes(header)
        if self.target.is_dir():
            raise CannotWrite(f"{self.target}: is a folder; give the name of a file")
        if resume and self._has_something():
            self._go_on(start)
            return
        try:
            self._file: BinaryIO = self.partial.open("wb")
        except OSError as error:
            raise self._cannot_write(error) from error
        try:
            self._append(start)
        except CannotWrite:
            self.abandon()
            raise
        self.byte_counts = ByteCounts(header=len(start))

    @property
    def gop_count(self) -> int:
        return len(self._index)

    @property
    def bytes_written(self) -> int:
        return self.byte_counts.total

    def write_gop(self, gop: Gop) -> None:
        """Append a GOP, after the packets that came before it."""
        if gop.first_frame != self.frame_count:
            raise ValueError(
                f"GOP starts at frame {gop.first_frame}, expected {self.frame_count}: GOPs are "
                "written in order"
            )
        whole = chunk(GOP, gop_body(gop, self._header))
        self._write_packets()
        entry = IndexEntry(self.bytes_written, gop.first_frame, gop.frames[0].pts)
        self._append(whole)
        self._index.append(entry)
        self.frame_count += len(gop.frames)
        self._count(gop, len(whole))

    def write_packet(self, packet: Packet) -> None:
        """Add a packet of a companion stream; several share a chunk before the next GOP."""
        check_packet(packet)
        if packet.stream > len(self._header.streams):
            raise OutOfRange(
                f"packet of stream {packet.stream}; the header has {len(self._header.streams)}"
            )
        self._packets.append(packet)
        self._packet_bytes += len(packet.data)
        if len(self._packets) >= _PACKETS_HELD or self._packet_bytes >= _PACKET_BYTES_HELD:
            self._write_packets()

    def finish(self) -> None:
        """Write index and footer, make sure that all is on the disk, and give the file its name."""
        if self._file.closed:
            return
        self._write_packets()
        end = chunk(INDEX, index_body(self._index, self.frame_count)) + footer(self.bytes_written)
        self._append(end)
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            os.replace(self.partial, self.target)
        except OSError as error:
            raise self._cannot_write(error) from error
        self.byte_counts = replace(self.byte_counts, index=len(end))

    def abandon(self) -> None:
        """Close without finishing; ``NAME.part`` goes, unless it is to be kept."""
        with suppress(OSError):  # the disk is full, and that has been said
            self._file.close()
        if not self._keep_partial:
            self.partial.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            try:
                self.finish()
            except BaseException:
                self.abandon()
                raise
        elif not self._file.closed:
            self.abandon()

    def _has_something(self) -> bool:
        try:
            return self.partial.stat().st_size > 0
        except OSError:
            return False

    def _go_on(self, start: bytes) -> None:
        """Take over what is whole in ``NAME.part``."""
        end, packets = len(start), 0
        try:
            with self.partial.open("rb") as file:
                if file.read(len(start)) != start:
                    raise UsageError(
                        f"{self.partial}: is of another video or of other settings; remove it, or "
                        "encode with the settings it was begun with"
                    )
                with suppress(DamagedFile), Reader(self.partial) as reader:
                    for offset, length, found in reader.whole_gops():
                        if found.first_frame != self.frame_count:
                            break
                        packets += offset - end
                        end = offset + length
                        self._index.append(
                            IndexEntry(offset, found.first_frame, found.frames[0].pts)
                        )
                        self.frame_count += len(found.frames)
                        self._count(found, length)
                        self.resumed += [
                            ResumedFrame(frame.kind, frame.pts, sum(map(len, frame.payloads)))
                            for frame in found.frames
                        ]
            self._file = self.partial.open("r+b")
            self._file.truncate(end)
            self._file.seek(end)
        except OSError as error:
            raise self._cannot_write(error) from error
        self.byte_counts = replace(self.byte_counts, header=len(start), packets=packets)

    def _count(self, gop: Gop, length: int) -> None:
        intra = _payload_bytes(gop, intra=True)
        inter = _payload_bytes(gop, intra=False)
        counts = self.byte_counts
        self.byte_counts = replace(
            counts,
            intra=counts.intra + intra,
            inter=counts.inter + inter,
            side=counts.side + length - intra - inter,
        )

    def _write_packets(self) -> None:
        if not self._packets:
            return
        whole = chunk(PACKETS, packets_body(self._packets))
        self._append(whole)
        self.byte_counts = replace(self.byte_counts, packets=self.byte_counts.packets + len(whole))
        self._packets, self._packet_bytes = [], 0

    def _append(self, data: bytes) -> None:
        try:
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            raise self._cannot_write(error) from error

    def _cannot_write(self, error: OSError) -> CannotWrite:
        reason = error.strerror or str(error)
        return CannotWrite(f"{self.target}: cannot write {self.partial.name}: {reason}")


def _payload_bytes(gop: Gop, intra: bool) -> int:
    return sum(
        len(payload)
        for frame in gop.frames
        if (frame.kind == FrameKind.I) == intra
        for payload in frame.payloads
    )
