"""What every frame of a coded file costs, read from the file."""

from pathlib import Path

import av

from dvc_codec.container import FrameKind, Reader
from dvc_codec.errors import DamagedFile

FrameBits = tuple[dict[str, int], ...]


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
    """Of a .dvc file, without the split of P frames into parts that only the encoder knows."""
    with Reader(coded) as reader:
        records = [r for n in range(len(reader.index)) for r in reader.read_gop(n).frames]
    return tuple(
        {"intra" if r.kind is FrameKind.I else "P frame": 8 * sum(map(len, r.payloads))}
        for r in records
    )
