"""What a .dvc file holds, as plain values: the writer takes them and the reader gives them back."""

from dataclasses import dataclass, field
from enum import IntEnum
from fractions import Fraction


class StreamKind(IntEnum):
    """What a companion stream is. A reader ignores streams of a kind it does not know."""

    VIDEO = 0
    AUDIO = 1
    SUBTITLE = 2
    ATTACHMENT = 3
    DATA = 4


class FrameKind(IntEnum):
    """How a frame is coded. 3 to 7 are free, and a reader refuses a GOP that has them."""

    I = 0  # noqa: E741 - the field's name for it
    P = 1
    B = 2


@dataclass(frozen=True)
class Colour:
    """How samples are to be shown, with the numbers of ``dvc_codec.video.ColourTags``."""

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    range: int = 0
    chroma_location: int = 0


@dataclass(frozen=True)
class StreamEntry:
    """A stream beside the video, copied and not coded again.

    Args:
        kind: a ``StreamKind``, or another number from a newer file.
        codec: FFmpeg's name of the codec ("aac", "opus", "mov_text").
        time_base: seconds per tick of its packets' times.
        extradata: the codec's set-up bytes.
        tags: what else a muxer must know ("sample_rate", "channel_layout", "language", ...).
    """

    kind: int
    codec: str
    time_base: Fraction
    extradata: bytes = b""
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Header:
    """All that a decoder needs before the first frame.

    Args:
        model_hash: SHA-256 of the weights file that decodes this file, 32 bytes.
        model_name: what people call these weights.
        width: of the video in luma samples, before any padding.
        height: as ``width``.
        frame_rate: frames per second; with ``time_base`` it predicts times that are not sent.
        time_base: seconds per tick of the frames' pts.
        sample_aspect_ratio: width of a sample over its height.
        colour: how samples are shown.
        rotation: degrees to turn the picture counter-clockwise before it is shown, 0 to 359.
        lambda_milli: a thousand times the lambda that the encoder was asked for; 0 is not said.
        gop_length: the longest GOP that the encoder would make.
        streams: companions of the video. Their ids are 1, 2, ...; the video is stream 0.
        tags: metadata, key and value.
        flags: bits 16 to 31 are critical (see docs/format.md); none is in use.
        extensions: (tag, bytes) that this version keeps but does not understand; tags are even.
    """

    model_hash: bytes
    model_name: str
    width: int
    height: int
    frame_rate: Fraction
    time_base: Fraction
    sample_aspect_ratio: Fraction = Fraction(1)
    colour: Colour = field(default_factory=Colour)
    rotation: int = 0
    lambda_milli: int = 0
    gop_length: int = 32
    streams: tuple[StreamEntry, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    flags: int = 0
    extensions: tuple[tuple[int, bytes], ...] = ()

    def ticks(self, frames: int) -> int:
        """What ``frames`` frames last in ticks of the time base, rounded half up."""
        per_frame = 1 / (self.frame_rate * self.time_base)
        double = 2 * per_frame.denominator
        return (2 * frames * per_frame.numerator + per_frame.denominator) // double


@dataclass(frozen=True)
class FrameRecord:
    """One coded frame.

    Args:
        kind: how it is coded.
        rate_index: 0..255, the step of the rate ladder.
        pts: when it is shown, in ticks of the header's time base.
        payloads: coded bytes; what each is for is the codec's affair.
        picture_hash: ``picture_hash`` of the picture that a decoder must come to.
        intra_codec: id in the intra registry. I frames have it, others do not.
        display_index: number of the frame in display order; None where it is that in coding order
            (and, when it is written, for a B frame: it is known anyway).
        references: how many frames back in coding order each reference lies (1 is the frame
            before); None for the usual one of its kind.
        scale: size at which it is coded, in sixteenths of the video's; None is full size.
        extension: bytes that this version keeps but does not understand.
    """

    kind: FrameKind
    rate_index: int
    pts: int
    payloads: tuple[bytes, ...]
    picture_hash: int
    intra_codec: int | None = None
    display_index: int | None = None
    references: tuple[int, ...] | None = None
    scale: int | None = None
    extension: bytes = b""


@dataclass(frozen=True)
class Gop:
    """Frames that decode without any other, in coding order: the unit of seeking and of damage."""

    first_frame: int
    frames: tuple[FrameRecord, ...]


@dataclass(frozen=True)
class Packet:
    """A packet of a companion stream, as the source file had it.

    Args:
        stream: its id, 1 for the header's first companion.
        pts: in ticks of that stream's time base.
        duration: in the same ticks; 0 is not known.
        data: the packet's bytes.
        flags: bit 0 key frame, bit 1 discard, bit 2 corrupt; at most 5 bits.
    """

    stream: int
    pts: int
    duration: int
    data: bytes
    flags: int = 1


@dataclass(frozen=True)
class IndexEntry:
    """Where a GOP is: byte offset of its chunk, number and time of its first frame."""

    offset: int
    first_frame: int
    first_pts: int


@dataclass(frozen=True)
class ByteCounts:
    """Where the bytes of a file went. They add up to its length.

    Args:
        header: magic to CRC.
        intra: payloads of I frames.
        inter: payloads of all other frames.
        side: everything around the payloads in GOP chunks.
        packets: chunks of companion streams.
        index: index and footer.
    """

    header: int = 0
    intra: int = 0
    inter: int = 0
    side: int = 0
    packets: int = 0
    index: int = 0

    @property
    def total(self) -> int:
        return self.header + self.intra + self.inter + self.side + self.packets + self.index
