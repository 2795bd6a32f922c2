"""Which videos an evaluation runs on."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from dvc_codec.errors import FileMissing, OutOfRange, UsageError
from dvc_codec.video import RawFormat

# Raw .yuv is not among them: it does not say its size, so it needs a known name (see datasets).
SUFFIXES = (".mp4", ".mkv", ".mov", ".webm", ".avi", ".y4m")


@dataclass(frozen=True)
class Sequence:
    """A video under test.

    Args:
        name: what tables and results call it.
        path: the file, anything FFmpeg reads.
        frames: use the first ones only; None is all.
        group: class it is averaged with, such as "HEVC B"; empty if it has none.
        raw: what a headerless file holds; None for files that say it themselves.
    """

    name: str
    path: Path
    frames: int | None = None
    group: str = ""
    raw: RawFormat | None = None


def check_frames(frames: int | None) -> None:
    """Raises OutOfRange for less than one frame."""
    if frames is not None and frames < 1:
        raise OutOfRange(f"frames: found {frames}, expected 1 or more")


def sequences_in(
    folder: Path, names: Collection[str] | None = None, frames: int | None = None
) -> list[Sequence]:
    """The videos in a folder, by file name without suffix, in order.

    Args:
        folder: only itself is searched, not what is below it.
        names: take these only; None is all.
        frames: of each, use the first ones only.

    Raises:
        FileMissing: no such folder, no video in it, or no video of one of the names.
        UsageError: two videos of one name.
        OutOfRange: less than one frame.
    """
    check_frames(frames)
    if not folder.is_dir():
        raise FileMissing(f"{folder}: is no folder; give the folder of the videos")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        if path.stem in found:
            raise UsageError(f"{path}: {found[path.stem].name} has the same name; rename one")
        found[path.stem] = path
    if not found:
        raise FileMissing(f"{folder}: found no video ({', '.join(SUFFIXES)})")
    missing = [name for name in names or () if name not in found]
    if missing:
        raise FileMissing(
            f"{folder}: found no video named {', '.join(missing)}; there are {', '.join(found)}"
        )
    return [Sequence(n, path, frames) for n, path in found.items() if names is None or n in names]
