"""What a video file has beside its pictures, to be written into another."""

from dataclasses import dataclass

from dvc_codec.container import Chapter, StreamEntry


@dataclass(frozen=True)
class Extras:
    """Companion streams (1, 2, ... in order, as in a .dvc file's header), tags, chapters."""

    streams: tuple[StreamEntry, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    chapters: tuple[Chapter, ...] = ()


NO_EXTRAS = Extras()
