"""A .dvc file being made: groups of pictures with the packets that belong near them, and going on
where an interrupted run stopped.
"""

import zlib
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Self

from dvc_codec.container import (
    Colour,
    FrameKind,
    FrameRecord,
    Gop,
    Header,
    Place,
    ResumedFrame,
    Writer,
    chapters_extension,
    hdr_extension,
)
from dvc_codec.errors import UsageError
from dvc_codec.video import Companions, Frame, VideoInfo

SETTINGS = 4  # tag of the header extension: CRC-32 of the encoder's settings, as text


def header_of(
    info: VideoInfo,
    companions: Companions,
    *,
    model: tuple[str, bytes],
    lagrangian: float,
    gop: int,
    settings: str,
) -> Header:
    """The header of a file of this video.

    Args:
        info: of the source.
        companions: of the source; those that are to be left out are not in it.
        model: name and SHA-256.
        lagrangian: lambda asked for; 0 where something else was.
        gop: longest group.
        settings: all that changes what the encoder does, in any form: files of other settings are
            not gone on with.
    """
    c = info.colour
    name, sha256 = model
    return Header(
        model_hash=sha256,
        model_name=name,
        width=info.width,
        height=info.height,
        frame_rate=info.frame_rate,
        time_base=info.time_base,
        sample_aspect_ratio=info.sample_aspect_ratio,
        colour=Colour(c.primaries, c.transfer, c.matrix, c.range, c.chroma_location),
        rotation=info.rotation,
        lambda_milli=round(1000 * lagrangian),
        gop_length=gop,
        streams=companions.streams,
        tags=companions.tags,
        extensions=(
            *chapters_extension(companions.chapters),
            *hdr_extension(info.hdr),
            (SETTINGS, zlib.crc32(settings.encode()).to_bytes(4, "little")),
        ),
    )


class Output:
    """Frame records in, a .dvc file out. Use it in ``with``; leaving it finishes the file.

    Args:
        target: the file to make.
        header: of it.
        companions: read up to where the pictures are, and written between the groups.
        resume: go on from ``target``.part where there is one, and keep it when stopped.

    Attributes:
        done: frames that the part had already; they are given again and must be the same.
    """

    def __init__(
        self, target: Path, header: Header, companions: Companions, *, resume: bool = False
    ) -> None:
        self._writer = Writer(target, header, keep_partial=resume, resume=resume)
        self._stack = ExitStack()
        self._stack.enter_context(self._writer)
        self._header = header
        self._companions = companions
        self._pending: list[FrameRecord] = []
        self._old = self._writer.resumed
        self._seen = 0

    @property
    def gops(self) -> int:
        return self._writer.gop_count

    @property
    def done(self) -> int:
        return len(self._old)

    @property
    def bytes_written(self) -> int:
        return self._writer.bytes_written

    @property
    def companion_bytes(self) -> int:
        return self._writer.byte_counts.packets

    def old(self, frame: Frame, starts: bool) -> ResumedFrame | None:
        """What the part has of the next frame, None where it has none.

        Raises UsageError where the part is of another video.
        """
        if self._seen >= len(self._old):
            if self._seen == len(self._old) and self._old:
                self._skip_packets(frame.pts * self._header.time_base)
            self._seen += 1
            return None
        record = self._old[self._seen]
        if record.pts != frame.pts or starts != (record.kind == FrameKind.I):
            raise UsageError(
                f"{self._writer.partial}: frame {self._seen} is not the source's: it is of "
                "another video; remove it"
            )
        self._seen += 1
        return record

    def add(self, record: FrameRecord, place: Place) -> None:
        """The next frame in coding order; an I frame starts a group."""
        if record.kind == FrameKind.I and self._pending:
            self._write(record.pts * self._header.time_base)
        first = self._writer.frame_count
        if place.number != len(self._pending):
            record = replace(record, display_index=first + place.number)
        self._pending.append(record)

    def end(self, *, sound_goes_on: bool) -> None:
        """After the last frame: what is pending, and the sound after it."""
        last = max((frame.pts for frame in self._pending or self._old), default=0)
        end = (last + self._header.ticks(1)) * self._header.time_base
        if self._pending:
            self._write(end)
        else:
            self._skip_packets(end)
        if sound_goes_on:
            for packet in self._companions.until(None):
                self._writer.write_packet(packet)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.__exit__(*error)  # type: ignore[arg-type]

    def _write(self, until: Fraction) -> None:
        for packet in self._companions.until(until):
            self._writer.write_packet(packet)
        self._writer.write_gop(Gop(self._writer.frame_count, tuple(self._pending)))
        self._pending.clear()

    def _skip_packets(self, until: Fraction) -> None:
        for _ in self._companions.until(until):
            pass
