"""Packets of sound and subtitles, on their way from a .dvc file to the video that it becomes."""

from fractions import Fraction
from typing import TYPE_CHECKING

from dvc_codec.container import Packet
from dvc_codec.video import VideoWriter, seconds_of

if TYPE_CHECKING:
    from dvc_codec.codec.decoder import Decoder


class PacketsBeside:
    """Hands packets of companion streams to a writer when their pictures come.

    Args:
        decoder: where they are.
        writer: where they go.
        from_the_start: whether sound from before the first picture is wanted.
    """

    def __init__(self, decoder: "Decoder", writer: VideoWriter, *, from_the_start: bool) -> None:
        self._decoder, self._writer = decoder, writer
        self._next_gop: int | None = 0 if from_the_start else None
        self._not_before: Fraction | None = None
        self._last = Fraction(0)
        self._held: list[Packet] = []

    def before(self, position: int, pts: int) -> None:
        """A picture is about to be written: first the packets of its group."""
        if not self._decoder.header.streams:
            return
        self._last = pts * self._decoder.header.time_base
        gop = self._decoder.gop_at(position)
        if self._next_gop is None:
            self._next_gop, self._not_before = gop, self._last
        while self._next_gop <= gop:
            self._held += self._decoder.packets_before(self._next_gop)
            self._next_gop += 1
        self._write(self._after_last())

    def end(self, position: int | None) -> None:
        """After the last picture. ``position`` says that more would follow: end there."""
        if not self._decoder.header.streams or self._next_gop is None:
            return
        while self._next_gop <= self._decoder.gop_count and position is None:
            self._held += self._decoder.packets_before(self._next_gop)
            self._next_gop += 1
        self._write(None if position is None else self._after_last())

    def _after_last(self) -> Fraction:
        header = self._decoder.header
        return self._last + header.ticks(1) * header.time_base

    def _write(self, until: Fraction | None) -> None:
        streams = self._decoder.header.streams
        later = []
        for packet in self._held:
            at = seconds_of(packet, streams)
            if until is not None and at >= until:
                later.append(packet)
                continue
            length = packet.duration * streams[packet.stream - 1].time_base
            if self._not_before is None or at + length > self._not_before:
                self._writer.write_packet(packet)
        self._held = later
