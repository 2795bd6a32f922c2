"""What every frame of a coded file costs, read from the file."""

from pathlib import Path

import av

from dvc_codec.container import FrameKind, FrameRecord, Reader, display_number
from dvc_codec.errors import DamagedFile

FrameBits = tuple[dict[str, int], ...]
KINDS = {FrameKind.I: "intra", FrameKind.P: "P frame", FrameKind.B: "B frame"}


def packet_bits(stream: Path) -> FrameBits:
    """Of an anchor's bare stream, in the order of the file: with B frames not that of showing.

    Frames that are never shown count to the next one that is.
    """
    try:
        with av.open(str(stream)) as container:
            packets = container.demux(container.streams.video[0])
            return tuple({"all": 8 * packet.size} for packet in packets if packet.size)
    except (av.FFmpegError, IndexError) as error:
        raise DamagedFile(f"{stream}: its frames cannot be told apart") from error


def payload_bits(coded: Path) -> FrameBits:
    """Of a .dvc file in display order, without the split of P and B frames into parts that only the
    encoder knows.
    """
    return tuple(
        {KINDS[frame.kind]: 8 * sum(map(len, frame.payloads))} for frame in shown_frames(coded)
    )


def shown_frames(coded: Path) -> list[FrameRecord]:
    """All frames of a .dvc file in display order."""
    found: dict[int, FrameRecord] = {}
    with Reader(coded) as reader:
        for number in range(len(reader.index)):
            gop = reader.read_gop(number)
            found |= {display_number(gop, n): frame for n, frame in enumerate(gop.frames)}
    return [found[number] for number in sorted(found)]
