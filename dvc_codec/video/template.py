"""Streams to copy packets into, from what a .dvc file says of them.

PyAV makes a stream that takes coded packets only after the example of another file's stream. So an
example is made: a Matroska file in memory that has the stream's description and not one packet.
"""

import io
import struct
from contextlib import suppress

import av
from av.container import InputContainer
from av.stream import Stream

from dvc_codec.container import StreamEntry, StreamKind

# FFmpeg's name of a codec to Matroska's (https://www.matroska.org/technical/codec_specs.html)
_AUDIO = {
    "aac": "A_AAC",
    "ac3": "A_AC3",
    "alac": "A_ALAC",
    "dts": "A_DTS",
    "eac3": "A_EAC3",
    "flac": "A_FLAC",
    "mp2": "A_MPEG/L2",
    "mp3": "A_MPEG/L3",
    "opus": "A_OPUS",
    "pcm_f32le": "A_PCM/FLOAT/IEEE",
    "pcm_s16be": "A_PCM/INT/BIG",
    "pcm_s16le": "A_PCM/INT/LIT",
    "pcm_s24be": "A_PCM/INT/BIG",
    "pcm_s24le": "A_PCM/INT/LIT",
    "pcm_s32le": "A_PCM/INT/LIT",
    "pcm_u8": "A_PCM/INT/LIT",
    "truehd": "A_TRUEHD",
    "vorbis": "A_VORBIS",
}
_SUBTITLE = {
    "ass": "S_TEXT/ASS",
    "dvb_subtitle": "S_DVBSUB",
    "dvd_subtitle": "S_VOBSUB",
    "hdmv_pgs_subtitle": "S_HDMV/PGS",
    "subrip": "S_TEXT/UTF8",
    "webvtt": "S_TEXT/WEBVTT",
}
PADDING = "initial_padding"  # tag: samples at the start that are for the decoder alone
_LONGEST_PADDING = 1 << 20
# Element ids
_EBML, _DOC_TYPE = 0x1A45DFA3, 0x4282
_SEGMENT, _INFO, _SCALE = 0x18538067, 0x1549A966, 0x2AD7B1
_TRACKS, _TRACK, _NUMBER, _UID, _TYPE = 0x1654AE6B, 0xAE, 0xD7, 0x73C5, 0x83
_CODEC, _PRIVATE, _DELAY = 0x86, 0x63A2, 0x56AA
_CLUSTER, _TIME = 0x1F43B675, 0xE7
_SOUND, _RATE, _CHANNELS, _DEPTH = 0xE1, 0xB5, 0x9F, 0x6264
_TYPE_AUDIO, _TYPE_SUBTITLE = 2, 17
_FASTEST, _MOST_CHANNELS = 768_000, 255


def example_of(entry: StreamEntry) -> tuple[InputContainer, Stream] | None:
    """A stream as ``entry`` says, in a container that has to stay open as long as it is used.

    None for a codec that has no name in Matroska, and for a description that FFmpeg cannot read.
    """
    known = _AUDIO if entry.kind == StreamKind.AUDIO else _SUBTITLE
    if entry.codec not in known or entry.kind not in (StreamKind.AUDIO, StreamKind.SUBTITLE):
        return None
    data = _file(_track(entry, known[entry.codec]))
    with suppress(av.FFmpegError, ValueError):
        container: InputContainer = av.open(io.BytesIO(data), "r", format="matroska")
        streams = list(container.streams)
        if len(streams) == 1 and streams[0].codec_context is not None:
            return container, streams[0]
        container.close()
    return None


def _track(entry: StreamEntry, codec: str) -> bytes:
    tags = dict(entry.tags)
    audio = entry.kind == StreamKind.AUDIO
    parts = [
        _number(_NUMBER, 1),
        _number(_UID, 1),
        _number(_TYPE, _TYPE_AUDIO if audio else _TYPE_SUBTITLE),
        _element(_CODEC, codec.encode()),
    ]
    if private := _private(entry):
        parts.append(_element(_PRIVATE, private))
    if audio:
        rate = _tag(tags, "sample_rate", _FASTEST)
        channels = _tag(tags, "channels", _MOST_CHANNELS)
        sound = _number(_RATE, 0) if rate is None else _float(_RATE, float(rate))
        sound += _number(_CHANNELS, channels or 1)
        if codec.startswith("A_PCM"):
            sound += _number(_DEPTH, int("".join(filter(str.isdigit, entry.codec))))
        parts.append(_element(_SOUND, sound))
        padding = _tag(tags, PADDING, _LONGEST_PADDING)
        if padding and rate:
            parts.append(_number(_DELAY, round(padding * 10**9 / rate)))
    return b"".join(parts)


def _private(entry: StreamEntry) -> bytes:
    """The codec's set-up bytes as Matroska has them."""
    if entry.codec == "flac" and entry.extradata:  # FFmpeg keeps the first block's content only
        return b"fLaC\x80" + len(entry.extradata).to_bytes(3, "big") + entry.extradata
    if entry.codec == "alac":  # FFmpeg has MP4's box around it
        return entry.extradata[12:]
    return entry.extradata


def _tag(tags: dict[str, str], name: str, most: int) -> int | None:
    text = tags.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text) <= most else None


def _file(track: bytes) -> bytes:
    tracks = _element(_TRACKS, _element(_TRACK, track))
    info = _element(_INFO, _number(_SCALE, 1_000_000))
    empty = _element(_CLUSTER, _number(_TIME, 0))  # without one FFmpeg calls the file cut
    segment = _element(_SEGMENT, info + tracks + empty)
    return _element(_EBML, _element(_DOC_TYPE, b"matroska")) + segment


def _element(identifier: int, data: bytes) -> bytes:
    name = identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")
    return name + (len(data) | 1 << 56).to_bytes(8, "big") + data  # the length in its longest form


def _number(identifier: int, value: int) -> bytes:
    return _element(identifier, value.to_bytes(8, "big"))


def _float(identifier: int, value: float) -> bytes:
    return _element(identifier, struct.pack(">d", value))
