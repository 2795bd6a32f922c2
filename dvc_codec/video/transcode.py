"""Any video into one for viewing: pictures coded anew, everything else carried over."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from dvc_codec.video.companions import Companions
from dvc_codec.video.extras import NO_EXTRAS, Extras
from dvc_codec.video.info import VideoInfo
from dvc_codec.video.muxer import DEFAULT_CRF
from dvc_codec.video.reader import STDIN, RawFormat, open_video
from dvc_codec.video.writer import open_writer


@dataclass
class Transcoded:
    """What transcode_file() did."""

    frames: int = 0
    converted_from: str | None = None  # the source's pixel format if it is not 8-bit 4:2:0
    interlaced: bool = False
    damaged: int = 0  # places of the source that could not be decoded
    left_out: list[str] = field(default_factory=list)  # of the source, or without a place


def transcode_file(
    source: str | Path,
    target: str | Path,
    *,
    start: float = 0.0,
    frames: int | None = None,
    convert: bool = False,
    sound: bool = True,
    raw: RawFormat | None = None,
    lossless: bool | None = None,
    crf: int = DEFAULT_CRF,
    progress: Callable[[Transcoded, VideoInfo], None] | None = None,
) -> Transcoded:
    """Decode a video and write it as .mkv, .mp4, .y4m or .yuv, with its sound and the like.

    Args:
        source: anything FFmpeg reads, "-" for y4m on standard input.
        target: as in :func:`dvc_codec.video.open_writer`; so are ``lossless`` and ``crf``.
        start: seconds to skip; times stay what they were.
        frames: how many at most.
        convert: as in :func:`dvc_codec.video.open_video`.
        sound: carry sound, subtitles, tags and chapters over.
        raw: the format of a headerless source.
        progress: called after every frame.

    Raises:
        DvcError: its subclasses say what; nothing is left under the final name.
    """
    done = Transcoded()
    with ExitStack() as stack:
        reader = stack.enter_context(
            open_video(source, start=start, frames=frames, convert=convert, raw=raw)
        )
        info = reader.info
        companions = stack.enter_context(Companions(source if sound and raw is None else STDIN))
        if start and companions.streams:
            companions.start_at(reader.first_pts * info.time_base)
        extras = Extras(companions.streams, companions.tags, companions.chapters)
        writer = stack.enter_context(
            open_writer(
                target, info, lossless=lossless, crf=crf, extras=extras if sound else NO_EXTRAS
            )
        )
        done.left_out = [*companions.left_out, *info.uncarried, *writer.left_out]
        until = None
        for frame in reader:
            until = (frame.pts + info.frame_ticks) * info.time_base
            for packet in companions.until(until):
                writer.write_packet(packet)
            writer.write(frame.picture, frame.pts)
            done.frames += 1
            done.converted_from, done.interlaced = reader.converted_from, reader.interlaced
            done.damaged = reader.damaged
            if progress:
                progress(done, info)
        for packet in companions.until(until if frames is not None else None):
            writer.write_packet(packet)
        done.damaged = reader.damaged
    return done
