"""Any folder of videos -> training clips: packed shards, or septuplets in Vimeo-90k's layout.

    python -m data_prep.from_videos VIDEOS OUT --size 448x256 --frames 16

Shots are found and no clip crosses a cut or a damaged place; duplicated, still and black frames are
left out; pictures are scaled down (at least --shrink times) to hide what the source's codec did to
them. Files that cannot be read are named, counted and passed over. OUT gets train/ and test/ (whole
videos go to one or the other), or with --septuplets sequences/ and sep_trainlist.txt,
sep_testlist.txt.
"""

import argparse
import hashlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from data_prep.shards import Planar, ShardWriter
from dvc_codec.errors import DvcError, FileMissing, NotAVideo, UsageError
from dvc_codec.training.sheet import png
from dvc_codec.video import Picture, open_video

SUFFIXES = (".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v", ".ts", ".y4m")
SEPTUPLET = 7
THUMBNAIL = 32  # cells in a row, whatever the size
# Mean absolute luma difference of thumbnails, in levels
SAME = 0.25  # below: the picture before once more, or one in which nothing happens
CUT = 18.0  # above, and
CUT_RATIO = 3.0  # so many times the differences before: another shot
BLACK = 24.0  # brightest cell of a black picture
MOST_SCALE = 4.0
AFTER_DAMAGE = 32  # frames left out after a place that does not decode, which later ones build on


@dataclass(frozen=True)
class Wanted:
    """What clips are to be like.

    Attributes:
        width, height: of the clips, even.
        frames: of each.
        shrink: least factor that pictures are scaled down by.
        gap: frames left out between clips of a shot, so that they differ.
        most: clips of one video.
    """

    width: int = 448
    height: int = 256
    frames: int = 16
    shrink: float = 1.25
    gap: int = 16
    most: int = 200


@dataclass
class Report:
    """What was found."""

    videos: int = 0
    clips: dict[str, int] = field(default_factory=lambda: {"train": 0, "test": 0})
    dropped: dict[str, int] = field(default_factory=lambda: {"same": 0, "black": 0, "cuts": 0})
    damaged: dict[str, int] = field(default_factory=dict)
    unusable: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.dropped.items())
        clips = ", ".join(f"{count} {part}" for part, count in self.clips.items())
        if not self.clips["train"]:
            clips += "; --test-share 0 gives every video to train"
        return [
            *(f"passed over: {line}" for line in self.unusable),
            *(f"damaged: {name}, {count} places" for name, count in self.damaged.items()),
            f"{self.videos} videos read, {len(self.unusable)} passed over",
            f"frames left out or cuts found: {kinds}",
            f"clips: {clips}",
        ]


def clips_of(path: Path, wanted: Wanted, report: Report) -> Iterator[tuple[int, Planar]]:
    """(number of its first frame, uint8 (frames, 3 H / 2, W)) of a video, in order."""
    run: list[Picture] = []
    first = waiting = made = damaged = 0
    before: NDArray[np.float32] | None = None
    usual = CUT  # what pictures of this shot differ by
    with open_video(path) as reader:
        _check_size(path, reader.info.width, reader.info.height, wanted)
        for number, frame in enumerate(reader):
            small = thumbnail(frame.picture)
            change = CUT if before is None else float(np.abs(small - before).mean())
            if before is not None and change < SAME:
                report.dropped["same"] += 1
                continue
            before = small
            if reader.damaged > damaged:
                damaged = report.damaged[str(path)] = reader.damaged
                run, waiting = [], AFTER_DAMAGE
                continue
            if small.max() < BLACK:
                report.dropped["black"] += 1
                run, waiting = [], 0
                continue
            if run and change > CUT and change > CUT_RATIO * usual:
                report.dropped["cuts"] += 1
                run, waiting, usual = [], 0, CUT
            usual = change if usual == CUT else 0.8 * usual + 0.2 * change
            if waiting:
                waiting -= 1
                continue
            if not run:
                first = number
            run.append(frame.picture)
            if len(run) == wanted.frames:
                yield first, np.stack([scaled(p, wanted) for p in run])
                run, waiting, made = [], wanted.gap, made + 1
                if made == wanted.most:
                    return
        if reader.damaged:
            report.damaged[str(path)] = reader.damaged


def thumbnail(picture: Picture) -> NDArray[np.float32]:
    """Means of luma cells, about 32 in a row: what cuts and doubles show in."""
    cell = max(1, picture.width // THUMBNAIL)
    rows, columns = picture.height // cell, picture.width // cell
    whole = picture.y[: rows * cell, : columns * cell].astype(np.float32)
    means: NDArray[np.float32] = whole.reshape(rows, cell, columns, cell).mean((1, 3))
    return means


def scaled(picture: Picture, wanted: Wanted) -> Planar:
    """The middle of the picture in the clips' shape, scaled down (area)."""
    scale = min(picture.width / wanted.width, picture.height / wanted.height, MOST_SCALE)
    width, height = (int(n * scale / 2) * 2 for n in (wanted.width, wanted.height))
    left = (picture.width - width) // 4 * 2
    top = (picture.height - height) // 4 * 2
    y = picture.y[top : top + height, left : left + width]
    half = (slice(top // 2, (top + height) // 2), slice(left // 2, (left + width) // 2))
    planes = [y, picture.u[half], picture.v[half]]
    planar = np.concatenate([p.reshape(-1) for p in planes]).reshape(height * 3 // 2, width)
    frame = av.VideoFrame.from_ndarray(planar, format="yuv420p")
    small = frame.reformat(wanted.width, wanted.height, "yuv420p", interpolation="AREA")
    return np.asarray(small.to_ndarray(), np.uint8)


def prepare(
    videos: Path,
    out: Path,
    wanted: Wanted,
    *,
    test_share: float = 0.1,
    septuplets: bool = False,
    crf: float = 8,
    tell: Callable[[str], None] = print,
) -> Report:
    """Clips of every video below a folder (or of one video). Raises FileMissing where there is
    none, NotAVideo where none gave a clip.
    """
    files = _videos(videos)
    report = Report()
    write = _Septuplets(out) if septuplets else _Shards(out, wanted.frames, crf)
    with write:
        for path in files:
            part = part_of(path.name, test_share)
            try:
                for first, clip in clips_of(path, wanted, report):
                    write.clip(part, clip, path.name, first)
                    report.clips[part] += 1
                report.videos += 1
            except DvcError as error:
                report.unusable.append(str(error))
                tell(f"passed over: {error}")
    if not sum(report.clips.values()):
        raise NotAVideo(f"{videos}: none of {len(files)} videos gave a clip")
    return report


def part_of(name: str, test_share: float) -> str:
    """ "train" or "test", by the video's name alone: more videos change nothing for these."""
    point = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
    return "test" if point < test_share else "train"


class _Shards:
    def __init__(self, out: Path, frames: int, crf: float) -> None:
        self._out, self._frames, self._crf = out, frames, crf
        self._writers: dict[str, ShardWriter] = {}

    def __enter__(self) -> "_Shards":
        return self

    def clip(self, part: str, clip: Planar, name: str, first: int) -> None:
        if part not in self._writers:
            self._writers[part] = ShardWriter(self._out / part, self._frames, crf=self._crf)
        self._writers[part].write(clip, {"file": name, "start_frame": first})

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        for writer in self._writers.values():
            writer.__exit__(kind, None, None)


class _Septuplets:
    """Vimeo's layout: sequences/00001/0001/im1.png; a thousand folders below each number."""

    def __init__(self, out: Path) -> None:
        self._out, self._number = out, 0
        self._lists: dict[str, list[str]] = {"train": [], "test": []}

    def __enter__(self) -> "_Septuplets":
        return self

    def clip(self, part: str, clip: Planar, name: str, first: int) -> None:
        place = f"{self._number // 1000 + 1:05d}/{self._number % 1000 + 1:04d}"
        folder = self._out / "sequences" / place
        folder.mkdir(parents=True, exist_ok=True)
        for number, planar in enumerate(clip):
            frame = av.VideoFrame.from_ndarray(planar, format="yuv420p").reformat(format="rgb24")
            (folder / f"im{number + 1}.png").write_bytes(
                png(np.asarray(frame.to_ndarray(), np.uint8))
            )
        self._lists[part].append(place)
        self._number += 1

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        for part, places in self._lists.items():
            if kind is None:
                (self._out / f"sep_{part}list.txt").write_text("".join(f"{p}\n" for p in places))


def _videos(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise FileMissing(f"{folder}: found no video ({', '.join(SUFFIXES)})")
    return found


def _check_size(path: Path, width: int, height: int, wanted: Wanted) -> None:
    scale = min(width / wanted.width, height / wanted.height)
    if scale < wanted.shrink:
        raise NotAVideo(
            f"{path}: {width}x{height} is {scale:.2f} times {wanted.width}x{wanted.height}, "
            f"expected {wanted.shrink:g} times (--shrink)"
        )


def _size(said: str) -> tuple[int, int]:
    try:
        width, height = (int(n) for n in said.split("x"))
    except ValueError:
        raise UsageError(f"--size {said}: expected WIDTHxHEIGHT") from None
    if width < 64 or height < 64 or width % 2 or height % 4:
        raise UsageError(f"--size {said}: expected 64x64 or more, height a multiple of 4")
    return width, height


def main(arguments: list[str] | None = None) -> int:
    """The command line. -> exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", default="448x256")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--shrink", type=float, default=1.25)
    parser.add_argument("--gap", type=int, default=16)
    parser.add_argument("--most", type=int, default=200, help="clips of one video")
    parser.add_argument("--test-share", type=float, default=0.1)
    parser.add_argument("--septuplets", action="store_true", help="PNGs in Vimeo-90k's layout")
    parser.add_argument("--crf", type=float, default=8, help="of the shards")
    given = parser.parse_args(arguments)
    try:
        width, height = _size(given.size)
        frames = SEPTUPLET if given.septuplets else given.frames
        wanted = Wanted(width, height, frames, given.shrink, given.gap, given.most)
        report = prepare(
            given.videos,
            given.out,
            wanted,
            test_share=given.test_share,
            septuplets=given.septuplets,
            crf=given.crf,
            tell=lambda _: None,
        )
    except DvcError as error:
        print(f"from_videos: {error}", file=sys.stderr)
        return error.exit_code
    print("\n".join(report.lines()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
