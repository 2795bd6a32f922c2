"""The one JSON file of an evaluation: conditions, runs, points. Whole after every point."""

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dvc_codec.errors import CannotWrite, FileMissing, UsageError
from dvc_codec.evaluation.bdrate import Curve
from dvc_codec.evaluation.measures import WEIGHTED, Measure
from dvc_codec.evaluation.task import OURS, Measured, Task

FORMAT = 1


@dataclass(frozen=True)
class Conditions:
    """What all points of one file share. Points under others are no part of the same curves.

    Args:
        data: folder of the sequences.
        gop: longest group of pictures.
        frames: of each sequence at most; None is all.
        model: name of our weights.
        model_sha256: of their file.
    """

    data: str
    gop: int
    frames: int | None
    model: str
    model_sha256: str


@dataclass
class Results:
    """Points as they were measured; ``runs`` says by what (see provenance), ``run_of`` by which."""

    path: Path
    conditions: Conditions
    runs: list[dict[str, Any]] = field(default_factory=list)
    points: list[Measured] = field(default_factory=list)
    run_of: list[int] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path) -> "Results":
        """Raises FileMissing, or UsageError for a file that is none of ours."""
        try:
            said = json.loads(path.read_text())
            if said["format"] != FORMAT:
                raise UsageError(f"{path}: found format {said['format']}, expected {FORMAT}")
            run_of = [point.pop("run") for point in said["points"]]
            points = [Measured(**point) for point in said["points"]]
            return cls(path, Conditions(**said["conditions"]), said["runs"], points, run_of)
        except OSError as error:
            raise FileMissing(f"{path}: cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path}: is not the results.json of an evaluation") from error

    @classmethod
    def open(cls, path: Path, conditions: Conditions) -> "Results":
        """What is there already, to go on with, or nothing yet.

        Raises UsageError if what is there was made under other conditions.
        """
        if not path.exists():
            return cls(path, conditions)
        there = cls.load(path)
        was, now = asdict(there.conditions), asdict(conditions)
        changed = [f"{key} {was[key]}, not {now[key]}" for key in now if was[key] != now[key]]
        if changed:
            raise UsageError(f"{path}: has points of {'; '.join(changed)}: give another --out")
        return there

    def has(self, task: Task) -> bool:
        wanted = task.sequence.name, task.codec, task.point
        return any(wanted == (p.sequence, p.codec, p.point) for p in self.points)

    def add(self, point: Measured) -> None:
        """A point of the last of ``runs``; the file has it when this returns."""
        self.points.append(point)
        self.run_of.append(len(self.runs) - 1)
        self.save()

    def take_anchors(self, other: "Results") -> int:
        """Add the points of ``other`` that are not our codec's and not here yet, with the run that
        measured them and their coded files. -> how many.

        Raises UsageError if they were measured on other frames or with another GOP.
        """
        for key in ("data", "gop", "frames"):
            was, now = getattr(other.conditions, key), getattr(self.conditions, key)
            if was != now:
                raise UsageError(f"{other.path}: has anchors of {key} {was}, expected {now}")
        here = {(p.sequence, p.codec, p.point) for p in self.points}
        places: dict[int, int] = {}
        taken = 0
        for point, run in zip(other.points, other.run_of, strict=True):
            if point.codec == OURS or (point.sequence, point.codec, point.point) in here:
                continue
            if run not in places:
                places[run] = len(self.runs)
                self.runs.append(other.runs[run])
            source, target = other.path.parent / point.coded, self.path.parent / point.coded
            if source.is_file() and source != target:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
            self.points.append(point)
            self.run_of.append(places[run])
            taken += 1
        self.save()
        return taken

    def save(self) -> None:
        """Write the file; whoever reads it finds the old or the new one, never half of one."""
        points = [asdict(p) | {"run": run} for p, run in zip(self.points, self.run_of, strict=True)]
        said = {
            "format": FORMAT,
            "conditions": asdict(self.conditions),
            "runs": self.runs,
            "points": points,
        }
        part = self.path.with_name(self.path.name + ".part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(said, indent=1))
            os.replace(part, self.path)
        except OSError as error:
            raise CannotWrite(f"{self.path}: cannot be written: {error.strerror}") from error

    @property
    def sequences(self) -> list[str]:
        return sorted({point.sequence for point in self.points}, key=str.lower)

    def of(self, sequence: str, codec: str) -> list[Measured]:
        """One codec's points on one sequence, fewest bits first."""
        chosen = [p for p in self.points if (p.sequence, p.codec) == (sequence, codec)]
        return sorted(chosen, key=lambda point: point.bits_per_pixel)

    @property
    def codecs(self) -> list[str]:
        """Ours first, then anchors in the order in which they came."""
        found = dict.fromkeys(point.codec for point in self.points)
        return [name for name in (OURS, *(n for n in found if n != OURS)) if name in found]

    @property
    def groups(self) -> dict[str, list[str]]:
        """Sequences of every class, in order; without classes, one without a name."""
        of = {point.sequence: point.group for point in self.points}
        found = sorted(set(of.values()))
        return {group: [name for name in self.sequences if of[name] == group] for group in found}

    def curve(self, sequence: str, codec: str, measure: Measure = WEIGHTED) -> Curve:
        """Rate and quality of every point where ``measure`` was measured."""
        found = [(p.bits_per_pixel, measure.value(p)) for p in self.of(sequence, codec)]
        return [(rate, quality) for rate, quality in found if quality is not None]
