"""Named parts of a video, as a header extension."""

from collections.abc import Sequence
from dataclasses import dataclass

from dvc_codec.container.fields import Cursor, check, put_string, put_varint
from dvc_codec.container.limits import MAX_CHAPTERS, MAX_NANOSECONDS
from dvc_codec.container.records import Header

CHAPTERS = 2  # tag of the extension


@dataclass(frozen=True)
class Chapter:
    """A named part of a video, in nanoseconds from where its times count from."""

    start: int
    end: int
    title: str = ""


def chapters_extension(chapters: Sequence[Chapter]) -> tuple[tuple[int, bytes], ...]:
    """The header extension that says them; none where there are none."""
    if not chapters:
        return ()
    check("number of chapters", len(chapters), 0, MAX_CHAPTERS)
    out = bytearray()
    put_varint(out, len(chapters))
    for chapter in chapters:
        check("start of a chapter", chapter.start, 0, MAX_NANOSECONDS)
        check("length of a chapter", chapter.end - chapter.start, 0, MAX_NANOSECONDS)
        put_varint(out, chapter.start)
        put_varint(out, chapter.end - chapter.start)
        put_string(out, "title of a chapter", chapter.title)
    return ((CHAPTERS, bytes(out)),)


def chapters_of(header: Header, name: str) -> tuple[Chapter, ...]:
    """The chapters that a header has; ``name`` is for messages. Raises DamagedFile."""
    for tag, data in header.extensions:
        if tag == CHAPTERS:
            cursor = Cursor(data, f"{name}: chapters")
            count = cursor.varint("number of chapters", 0, MAX_CHAPTERS)
            found = []
            for _ in range(count):
                start = cursor.varint("start of a chapter", 0, MAX_NANOSECONDS)
                length = cursor.varint("length of a chapter", 0, MAX_NANOSECONDS)
                found.append(Chapter(start, start + length, cursor.string("title of a chapter")))
            cursor.end()
            return tuple(found)
    return ()
