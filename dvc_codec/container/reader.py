"""Reads a .dvc file, whole or damaged."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from dvc_codec.container.chunks import (
    CHUNK_HEAD,
    FOOTER,
    GOP,
    INDEX,
    PACKETS,
    SYNC,
    checksum,
    is_critical,
    parse_footer,
    parse_index,
    parse_packets,
)
from dvc_codec.container.fields import Cursor
from dvc_codec.container.frames import SHORTEST_FRAME, iterate_frames, parse_gop, parse_gop_start
from dvc_codec.container.header import CRC, PREFIX, body_length, parse_header
from dvc_codec.container.limits import MAX_CHUNK
from dvc_codec.container.records import FrameRecord, Gop, IndexEntry, Packet
from dvc_codec.errors import DamagedFile, DvcError, FileMissing, WrongVersion

_BLOCK = 1 << 20  # bytes read at a time when looking for a sync
_PATIENCE = 8  # a rebuilding scan reads at most this many times the file


@dataclass(frozen=True)
class _Chunk:
    kind: int
    offset: int
    body: bytes

    @property
    def end(self) -> int:
        return self.offset + CHUNK_HEAD + len(self.body)


class Reader:
    """Gives the header at once, and GOPs and packets when asked.

    The index is taken from the end of the file. Where that is missing or damaged, the file is
    scanned for GOPs, and ``index_rebuilt`` says so: all that are whole can be read.

    Args:
        source: a path, or an open seekable file of bytes, which stays open.

    Raises:
        FileMissing: it cannot be opened.
        DamagedFile: it is no .dvc file, or its header is damaged; the other methods raise it for
            what they are asked for.
        WrongVersion: it needs a newer program.
    """

    def __init__(self, source: Path | BinaryIO) -> None:
        self._owned = isinstance(source, (str, os.PathLike))
        if isinstance(source, (str, os.PathLike)):
            self.name = str(source)
            try:
                self._file: BinaryIO = Path(source).open("rb")  # noqa: SIM115 - see close()
            except OSError as error:
                raise FileMissing(f"{self.name}: {error.strerror or error}") from error
        else:
            self.name = str(getattr(source, "name", "stream"))
            self._file = source
        try:
            self._size = self._file.seek(0, os.SEEK_END)
            length = body_length(self._bytes(0, PREFIX), self.name)
            self._start = PREFIX + length + CRC
            if self._start > self._size:
                raise DamagedFile(
                    f"{self.name}: header claims {self._start} bytes, the file has {self._size}"
                )
            self.header = parse_header(self._bytes(0, self._start), self.name)
            self._cut_offset: int | None = None
            found = self._read_index()
            self.index_rebuilt = found is None
            self.index, self.frame_count = found or self._rebuild_index()
        except BaseException:
            self.close()
            raise

    def read_gop(self, number: int) -> Gop:
        """GOP ``number``, counted from 0 in the order of ``index``."""
        entry = self.index[number]
        found = self._chunk(entry.offset)
        if found.kind != GOP:
            raise DamagedFile(
                f"{self._where(found)}: found a chunk {found.kind:#x}, expected a GOP"
            )
        gop = parse_gop(found.body, self.header, self._where(found))
        if (gop.first_frame, gop.frames[0].pts) != (entry.first_frame, entry.first_pts):
            raise DamagedFile(
                f"{self._where(found)}: starts with frame {gop.first_frame}, "
                f"the index says {entry.first_frame}"
            )
        return gop

    def frames_in(self, number: int) -> int:
        """How many frames GOP ``number`` says it has, without reading them."""
        start = self.index[number].offset + CHUNK_HEAD
        cursor = Cursor(self._bytes(start, 3 * 10), f"{self.name}: chunk at byte {start}")
        return parse_gop_start(cursor)[1]

    def read_cut_gop(self) -> Gop | None:
        """The whole frames at the front of a last GOP that the end of the file cuts.

        Only a scan finds it, so None where the index is whole. Its bytes are not checked by any
        CRC: trust a frame when its decoded picture has the recorded hash.
        """
        if self._cut_offset is None:
            return None
        where = f"{self.name}: GOP cut at the end of the file, from byte {self._cut_offset}"
        start = self._cut_offset + CHUNK_HEAD
        frames: list[FrameRecord] = []
        first_frame = 0
        try:
            for number, frame in iterate_frames(
                self._bytes(start, self._size - start), self.header, where
            ):
                first_frame = number - len(frames)
                frames.append(frame)
        except DvcError:
            pass  # what stands before the cut is what was asked for
        return Gop(first_frame, tuple(frames)) if frames else None

    def packets_before(self, number: int) -> list[Packet]:
        """Packets that stand between GOP ``number`` and the one before it.

        ``number`` may be the number of GOPs: then those after the last. What is damaged among them
        is left out.
        """
        offsets = [entry.offset for entry in self.index]
        start = self._start
        if number > 0:
            start = offsets[number - 1] + CHUNK_HEAD + self._claimed(offsets[number - 1])
        end = offsets[number] if number < len(offsets) else self._size
        found: list[Packet] = []
        while start < end:
            try:
                here = self._chunk(start)
                if here.kind == PACKETS:
                    found += parse_packets(here.body, self._where(here))
                elif here.kind in (GOP, INDEX):
                    break
                start = here.end
            except DamagedFile:
                start = self._next_sync(start + 1)
        return found

    def _claimed(self, offset: int) -> int:
        """Length of the body of the chunk at ``offset``, as far as it lies in the file."""
        head = self._bytes(offset, CHUNK_HEAD)
        claim = int.from_bytes(head[len(SYNC) + 1 : len(SYNC) + 5], "little")
        left = max(0, self._size - offset - CHUNK_HEAD)
        return claim if head.startswith(SYNC) and claim <= left else 0

    def chunks(self, *, tolerant: bool = False) -> Iterator[Gop | Packet]:
        """Everything in the order of the file. ``tolerant`` skips what is damaged."""
        for found in self._walk(tolerant):
            where = self._where(found)
            try:
                if found.kind == GOP:
                    yield parse_gop(found.body, self.header, where)
                elif found.kind == PACKETS:
                    yield from parse_packets(found.body, where)
                elif found.kind == INDEX:
                    return
                elif is_critical(found.kind):
                    raise WrongVersion(
                        f"{where}: chunk of kind {chr(found.kind)!r} cannot be skipped and this "
                        "program does not know it; use a newer dvc-codec"
                    )
            except DamagedFile:
                if not tolerant:
                    raise

    def whole_gops(self) -> Iterator[tuple[int, int, Gop]]:
        """(offset, length of the chunk, GOP) from the front, until something is damaged or cut."""
        with suppress(DamagedFile):
            for found in self._walk(tolerant=False):
                if found.kind == INDEX:
                    return
                if found.kind == GOP:
                    gop = parse_gop(found.body, self.header, self._where(found))
                    yield found.offset, found.end - found.offset, gop

    def packets(self) -> Iterator[Packet]:
        """Packets of companion streams; damaged chunks of them are left out."""
        for found in self._walk(tolerant=True):
            if found.kind == PACKETS:
                try:
                    yield from parse_packets(found.body, self._where(found))
                except DamagedFile:
                    continue

    def close(self) -> None:
        """Close the file, if this reader opened it."""
        if self._owned:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _bytes(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)

    def _where(self, found: _Chunk) -> str:
        return f"{self.name}: chunk at byte {found.offset}"

    def _chunk(self, offset: int) -> _Chunk:
        """The chunk at ``offset``, with its CRC checked."""
        where = f"{self.name}: chunk at byte {offset}"
        head = self._bytes(offset, CHUNK_HEAD)
        if len(head) < CHUNK_HEAD or not head.startswith(SYNC):
            raise DamagedFile(
                f"{where}: found {head[: len(SYNC)].hex(' ') or 'the end of the file'}, "
                f"expected the marker {SYNC.hex(' ')}"
            )
        kind_and_length = head[len(SYNC) : len(SYNC) + 5]
        length = int.from_bytes(kind_and_length[1:], "little")
        left = self._size - offset - CHUNK_HEAD
        if length > min(left, MAX_CHUNK):
            raise DamagedFile(
                f"{where}: claims {length} bytes, {left} are left and {MAX_CHUNK} is the most"
            )
        body = self._bytes(offset + CHUNK_HEAD, length)
        recorded = int.from_bytes(head[-4:], "little")
        computed = checksum(kind_and_length, body)
        if recorded != computed:
            raise DamagedFile(
                f"{where}: CRC-32 is {recorded:08x}, its bytes give {computed:08x}; it is damaged"
            )
        return _Chunk(kind_and_length[0], offset, body)

    def _walk(self, tolerant: bool) -> Iterator[_Chunk]:
        """All chunks. ``tolerant`` goes on at the next sync after damage; else damage raises."""
        offset = self._start
        budget = _PATIENCE * self._size
        while self._size - offset > 0 and budget > 0:
            if self._size - offset == FOOTER and parse_footer(self._bytes(offset, FOOTER)):
                return
            try:
                found = self._chunk(offset)
            except DamagedFile:
                if not tolerant:
                    raise
                head = self._bytes(offset, CHUNK_HEAD)
                claim = int.from_bytes(head[len(SYNC) + 1 : len(SYNC) + 5], "little")
                if claim <= self._size - offset:
                    budget -= claim
                offset = self._next_sync(offset + 1)
                continue
            budget -= len(found.body)
            yield found
            offset = found.end

    def _next_sync(self, offset: int) -> int:
        """Where the next sync starts, at or after ``offset``; the end of the file where none."""
        while offset < self._size:
            place = self._bytes(offset, _BLOCK).find(SYNC)
            if place >= 0:
                return offset + place
            offset += _BLOCK - len(SYNC) + 1
        return self._size

    def _read_index(self) -> tuple[tuple[IndexEntry, ...], int] | None:
        offset = parse_footer(self._bytes(max(self._start, self._size - FOOTER), FOOTER))
        if offset is None or not self._start <= offset <= self._size - FOOTER:
            return None
        try:
            found = self._chunk(offset)
            if found.kind != INDEX:
                return None
            entries, frame_count = parse_index(found.body, self._where(found))
        except DamagedFile:
            return None
        if frame_count * SHORTEST_FRAME > self._size:
            return None  # more than the file can hold
        firsts = [entry.first_frame for entry in entries]
        if any(entry.offset >= offset for entry in entries) or firsts != sorted(set(firsts)):
            return None
        return entries, frame_count

    def _rebuild_index(self) -> tuple[tuple[IndexEntry, ...], int]:
        entries: list[IndexEntry] = []
        frame_count = 0
        end = self._start
        for found in self._walk(tolerant=True):
            end = found.end
            if found.kind != GOP:
                continue
            try:
                first, count, pts = parse_gop_start(Cursor(found.body, self._where(found)))
            except DamagedFile:
                continue
            if first >= frame_count and count * SHORTEST_FRAME <= len(found.body):
                entries.append(IndexEntry(found.offset, first, pts))
                frame_count = first + count
        self._cut_offset = self._find_cut(end)
        return tuple(entries), frame_count

    def _find_cut(self, offset: int) -> int | None:
        """Where a GOP chunk stands that starts at or after ``offset`` and reaches past the end."""
        while (offset := self._next_sync(offset)) < self._size:
            head = self._bytes(offset, CHUNK_HEAD)
            length = int.from_bytes(head[len(SYNC) + 1 : len(SYNC) + 5], "little")
            whole = len(head) == CHUNK_HEAD and head[len(SYNC)] == GOP
            if whole and self._size - offset - CHUNK_HEAD < length <= MAX_CHUNK:
                return offset
            offset += 1
        return None
