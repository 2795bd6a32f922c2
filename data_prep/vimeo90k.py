"""Vimeo-90k septuplets: check what is there against the lists, and make shards of it.

    python -m data_prep.vimeo90k vimeo_septuplet --archive vimeo_septuplet.zip --shards OUT

The folder is the unpacked archive: sequences/00001/0001/im1.png to im7.png, sep_trainlist.txt,
sep_testlist.txt. The archive has 91,701 folders and lists 72,436 of them (64,612 to train, 7,824 to
test); only listed ones are used. The data set is its authors' (Xue et al., Video Enhancement with
Task-Oriented Flow), for research; the clips are of Vimeo's users. Nothing is downloaded.
"""

import argparse
import sys
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from data_prep.shards import Planar, ShardWriter
from dvc_codec.errors import DamagedFile, DvcError, FileMissing
from dvc_codec.training.clips import SEPTUPLET
from dvc_codec.training.frames import read_septuplet

LISTS = {"train": "sep_trainlist.txt", "test": "sep_testlist.txt"}


@dataclass
class Report:
    """What was found.

    Attributes:
        folders: on disk. listed: names per list. blank: empty lines in the lists.
        twice: names listed more than once. unlisted: folders on disk that no list names.
        unusable: why each listed folder that cannot be used can not.
        used: clips per list that are whole.
    """

    folders: int = 0
    listed: dict[str, int] = field(default_factory=dict)
    blank: int = 0
    twice: list[str] = field(default_factory=list)
    unlisted: int = 0
    unusable: list[str] = field(default_factory=list)
    used: dict[str, int] = field(default_factory=dict)

    def lines(self) -> list[str]:
        return [
            *(f"unusable: {line}" for line in self.unusable),
            *(f"listed twice: {name}" for name in self.twice),
            f"{self.folders} folders, {self.unlisted} of them in no list; {self.blank} blank lines",
            *(f"{part}: {self.listed[part]} listed, {self.used[part]} whole" for part in self.used),
        ]


def names_in(path: Path, report: Report) -> list[str]:
    """The list's names in order, each once. Raises FileMissing."""
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise FileMissing(f"{path}: cannot read the list: {error.strerror}") from error
    names = [line.strip() for line in lines]
    report.blank += sum(not name for name in names)
    seen: set[str] = set()
    for name in filter(None, names):
        if name in seen:
            report.twice.append(f"{name} in {path.name}")
        seen.add(name)
    return list(dict.fromkeys(filter(None, names)))


def check(
    root: Path, lists: Path | None = None, shards: Path | None = None, crf: float = 8
) -> Report:
    """Decode every listed septuplet; with ``shards``, write those of each list to a folder of its
    name there.

    Args:
        lists: the folder of the lists; ``root`` by default.
    """
    if not (root / "sequences").is_dir():
        raise FileMissing(f"{root}: found no folder sequences; unpack the archive here")
    report = Report()
    on_disk = {f"{p.parent.name}/{p.name}" for p in (root / "sequences").glob("*/*") if p.is_dir()}
    report.folders = len(on_disk)
    named: set[str] = set()
    for part, file in LISTS.items():
        path = (lists or root) / file
        if not path.is_file():
            continue
        names = names_in(path, report)
        named |= set(names)
        report.listed[part], report.used[part] = len(names), 0
        with ExitStack() as stack:
            writer = shards and stack.enter_context(ShardWriter(shards / part, SEPTUPLET, crf=crf))
            for name, clip in _whole(root, names, report):
                report.used[part] += 1
                if writer:
                    writer.write(clip, {"file": name})
    report.unlisted = len(on_disk - named)
    return report


def _whole(root: Path, names: list[str], report: Report) -> Iterator[tuple[str, Planar]]:
    for name in names:
        folder = root / "sequences" / name
        if not folder.is_dir():
            report.unusable.append(f"{folder}: is listed and not there")
            continue
        clip = read_septuplet(folder, SEPTUPLET)
        if isinstance(clip, str):
            report.unusable.append(clip)
        else:
            yield name, clip


def check_archive(path: Path) -> int:
    """Read the whole archive against its check sums. -> files in it. Raises DamagedFile."""
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
            if bad is not None:
                raise DamagedFile(f"{path}: {bad} does not match its check sum; fetch it again")
            return len(archive.namelist())
    except (zipfile.BadZipFile, OSError) as error:
        raise DamagedFile(f"{path}: not a whole archive ({error}); fetch it again") from error


def main(arguments: list[str] | None = None) -> int:
    """The command line. -> exit code: 5 where something listed cannot be used."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--archive", type=Path, help="the zip file, checked first")
    parser.add_argument("--lists", type=Path, help="folder of the lists, if it is another")
    parser.add_argument("--shards", type=Path, help="write packed shards to this folder")
    parser.add_argument("--crf", type=float, default=8, help="of the shards")
    given = parser.parse_args(arguments)
    try:
        if given.archive is not None:
            print(f"{given.archive}: {check_archive(given.archive)} files, all whole")
        report = check(given.folder, given.lists, given.shards, given.crf)
    except DvcError as error:
        print(f"vimeo90k: {error}", file=sys.stderr)
        return error.exit_code
    print("\n".join(report.lines()))
    return DamagedFile.exit_code if report.unusable else 0


if __name__ == "__main__":
    sys.exit(main())
