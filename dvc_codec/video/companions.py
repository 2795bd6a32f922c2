"""What is in a file beside its pictures: sound and subtitles as coded packets, tags, chapters.

Nothing here is decoded: packets go from file to file byte for byte.
"""

import heapq
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import Self

import av
from av.container import InputContainer
from av.packet import Packet as AvPacket
from av.stream import Disposition, Stream

from dvc_codec.container import Chapter, Packet, StreamEntry, StreamKind
from dvc_codec.video.template import PADDING

_KINDS = {"audio": StreamKind.AUDIO, "subtitle": StreamKind.SUBTITLE}
_KEY, _DISCARD, _CORRUPT = 1, 2, 4
# What muxers write about themselves: true of the source file only
_NOT_CARRIED = ("major_brand", "minor_version", "compatible_brands", "encoder", "duration")
_LONGEST_TAG = 60_000
_MOST_TAGS = 200
_LARGEST_ATTACHMENT = 1 << 20
_LARGEST_PACKET = 1 << 26
_MOST_STREAMS = 64
_MOST_CHAPTERS = 1000
_AAC_FRAME = 1024  # samples
_HEAD = 64  # packets that are looked at before the first is given out


class Companions:
    """The companion streams of a video file, read beside its pictures; close it after use.

    Args:
        path: a video file; "-" (y4m) has none.

    Attributes:
        streams: what to write of each into a file's header.
        left_out: one text for each stream that cannot be carried.
        tags: of the whole file.
        chapters: in order.
    """

    def __init__(self, path: str | Path) -> None:
        self.streams: tuple[StreamEntry, ...] = ()
        self.left_out: list[str] = []
        self.tags: tuple[tuple[str, str], ...] = ()
        self.chapters: tuple[Chapter, ...] = ()
        self._container: InputContainer | None = None
        self._ids: dict[int, int] = {}
        self._packets: Iterator[tuple[Fraction, int, Packet]] = iter(())
        self._next: tuple[Fraction, int, Packet] | None = None
        if str(path) == "-" or not os.path.isfile(path):
            return
        try:
            self._container = av.open(f"file:{path}", "r", options={"protocol_whitelist": "file"})
        except (av.FFmpegError, OSError):
            return  # the reader of its pictures says what is wrong
        self.tags = _carried_tags(self._container.metadata)
        self.chapters = _chapters(self._container)
        self._add_streams(self._container)
        self._packets = self._demuxed()
        self._note_padding()

    def start_at(self, seconds: Fraction) -> None:
        """Leave out what is over before this time."""
        if self._container is None:
            return
        with suppress(av.FFmpegError, OSError):
            self._container.seek(int(seconds * av.time_base))
        self._packets = (
            found for found in self._demuxed() if found[0] + self._seconds(found[2]) > seconds
        )

    def until(self, seconds: Fraction | None) -> Iterator[Packet]:
        """Packets, in the order of the file, up to the first one that starts then or later."""
        while True:
            found = self._next or next(self._packets, None)
            self._next = None
            if found is None:
                return
            if seconds is not None and found[0] >= seconds:
                self._next = found
                return
            yield found[2]

    def close(self) -> None:
        """Let go of the file."""
        if self._container is not None:
            self._container.close()
            self._container = None
        self._packets = iter(())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _seconds(self, packet: Packet) -> Fraction:
        return packet.duration * self.streams[packet.stream - 1].time_base

    def _add_streams(self, container: InputContainer) -> None:
        entries: list[StreamEntry] = []
        video_seen = False
        for stream in container.streams:
            if stream.type == "video" and not stream.disposition & Disposition.attached_pic:
                if video_seen:
                    self.left_out.append("another video stream")
                video_seen = True
                continue
            entry = _entry(stream)
            if entry is None or len(entries) == _MOST_STREAMS:
                self.left_out.append(_called(stream))
                continue
            entries.append(entry)
            if entry.kind != StreamKind.ATTACHMENT:
                self._ids[stream.index] = len(entries)
        self.streams = tuple(entries)

    def _note_padding(self) -> None:
        """Sound that begins before time 0 begins with samples that are only there for the decoder
        to warm up: say how many.
        """
        head = list(islice(self._packets, _HEAD))
        self._packets = chain(head, self._packets)
        entries = list(self.streams)
        for _, _, packet in reversed(head):
            entry = entries[packet.stream - 1]
            rate = dict(entry.tags).get("sample_rate")
            if entry.kind != StreamKind.AUDIO or rate is None or packet.pts >= 0:
                continue
            samples = _padding(-packet.pts * entry.time_base * int(rate), int(rate), entry)
            tags = {**dict(entry.tags), PADDING: str(samples)}
            entries[packet.stream - 1] = replace(entry, tags=tuple(tags.items()))
        self.streams = tuple(entries)

    def _demuxed(self) -> Iterator[tuple[Fraction, int, Packet]]:
        """(start in seconds, order, packet) in the order of time, near enough: files interleave
        streams by a second or so, and that much is sorted.
        """
        assert self._container is not None
        if not self._ids:
            return
        streams = [self._container.streams[index] for index in self._ids]
        held: list[tuple[Fraction, int, Packet]] = []
        expected = dict.fromkeys(self._ids, 0)
        packets = self._container.demux(streams)
        number = 0
        while True:
            try:
                found = next(packets, None)
            except av.FFmpegError:
                break
            if found is None:
                break
            index = found.stream.index
            if not found.size or found.size > _LARGEST_PACKET:
                continue  # the demuxer's last one of a stream is empty
            base = found.stream.time_base or Fraction(1, 1000)
            packet = _packet(found, self._ids[index], expected[index])
            expected[index] = packet.pts + packet.duration
            heapq.heappush(held, (packet.pts * base, number, packet))
            number += 1
            while held[-1][0] - held[0][0] > 2 or len(held) > 512:
                yield heapq.heappop(held)
        while held:
            yield heapq.heappop(held)


def seconds_of(packet: Packet, streams: tuple[StreamEntry, ...]) -> Fraction:
    """When a packet starts."""
    return packet.pts * streams[packet.stream - 1].time_base


def _padding(samples: Fraction, rate: int, entry: StreamEntry) -> int:
    """Samples, as exactly as can be said: files whose times are milliseconds round them."""
    exact = int.from_bytes(entry.extradata[10:12], "little") if entry.codec == "opus" else 0
    if entry.codec == "aac":
        exact = round(samples / _AAC_FRAME) * _AAC_FRAME
    return exact if exact and abs(samples - exact) < rate / 900 else round(samples)


def _packet(found: "AvPacket[Stream]", stream: int, expected: int) -> Packet:
    pts = found.pts if found.pts is not None else found.dts
    flags = (
        (_KEY if found.is_keyframe else 0)
        | (_DISCARD if found.is_discard else 0)
        | (_CORRUPT if found.is_corrupt else 0)
    )
    duration = max(0, found.duration or 0)
    return Packet(stream, expected if pts is None else pts, duration, bytes(found), flags)


def _entry(stream: Stream) -> StreamEntry | None:
    """What a file says of a stream, or None if it cannot be carried."""
    if stream.type == "attachment":
        data = stream.data  # type: ignore[attr-defined]
        if len(data) > _LARGEST_ATTACHMENT:
            return None
        tags = {
            "filename": stream.metadata.get("filename", "attachment"),
            "mimetype": stream.metadata.get("mimetype", "application/octet-stream"),
        }
        return StreamEntry(
            StreamKind.ATTACHMENT, "attachment", Fraction(1), bytes(data), tuple(tags.items())
        )
    context = stream.codec_context
    if stream.type not in _KINDS or context is None:
        return None
    extradata = context.extradata or b""
    if len(extradata) > _LARGEST_ATTACHMENT:
        return None
    tags = dict(_carried_tags(stream.metadata))
    if stream.type == "audio":
        tags |= {
            "sample_rate": str(context.sample_rate),  # type: ignore[attr-defined]
            "channels": str(context.layout.nb_channels),  # type: ignore[attr-defined]
            "channel_layout": context.layout.name,  # type: ignore[attr-defined]
        }
    disposition = int(stream.disposition)
    if disposition:
        tags["disposition"] = str(disposition)
    return StreamEntry(
        _KINDS[stream.type],
        context.codec.canonical_name,
        stream.time_base or Fraction(1, 1000),
        bytes(extradata),
        tuple(tags.items()),
    )


def _called(stream: Stream) -> str:
    context = stream.codec_context
    name = context.name if context is not None else stream.type
    return f"stream {stream.index} ({stream.type}, {name})"


def _carried_tags(found: dict[str, str]) -> tuple[tuple[str, str], ...]:
    kept = [
        (key, value)
        for key, value in found.items()
        if key.lower() not in _NOT_CARRIED and max(len(key), len(value)) <= _LONGEST_TAG // 4
    ]
    return tuple(kept[:_MOST_TAGS])


def _chapters(container: InputContainer) -> tuple[Chapter, ...]:
    found = []
    for chapter in container.chapters()[:_MOST_CHAPTERS]:
        base = Fraction(chapter["time_base"] or Fraction(1, 1000)) * 10**9
        title = chapter["metadata"].get("title", "")[:1000]
        start, end = round(chapter["start"] * base), round(chapter["end"] * base)
        if 0 <= start <= end:
            found.append(Chapter(start, end, title))
    return tuple(found)
