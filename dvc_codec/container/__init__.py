"""The .dvc file: bytes only, the standard library only. docs/format.md says every byte.

>>> with Writer(Path("clip.dvc"), header) as writer:        # doctest: +SKIP
...     writer.write_gop(gop)
>>> with Reader(Path("clip.dvc")) as reader:                # doctest: +SKIP
...     reader.read_gop(0) == gop
True
"""

from dvc_codec.container.chapters import Chapter, chapters_extension, chapters_of
from dvc_codec.container.hashes import picture_hash
from dvc_codec.container.hdr import Hdr, hdr_extension, hdr_of
from dvc_codec.container.header import VERSION, is_dvc
from dvc_codec.container.limits import FULL_SCALE
from dvc_codec.container.order import (
    CodingOrder,
    Place,
    display_number,
    group_order,
    middle_out,
    places,
)
from dvc_codec.container.reader import Reader
from dvc_codec.container.records import (
    ByteCounts,
    Colour,
    FrameKind,
    FrameRecord,
    Gop,
    Header,
    IndexEntry,
    Packet,
    StreamEntry,
    StreamKind,
)
from dvc_codec.container.writer import ResumedFrame, Writer

__all__ = [
    "FULL_SCALE",
    "VERSION",
    "ByteCounts",
    "Chapter",
    "CodingOrder",
    "Colour",
    "FrameKind",
    "FrameRecord",
    "Gop",
    "Hdr",
    "Header",
    "IndexEntry",
    "Packet",
    "Place",
    "Reader",
    "ResumedFrame",
    "StreamEntry",
    "StreamKind",
    "Writer",
    "chapters_extension",
    "chapters_of",
    "display_number",
    "group_order",
    "hdr_extension",
    "hdr_of",
    "is_dvc",
    "middle_out",
    "picture_hash",
    "places",
]
