"""An anchor's file with (nearly) as many bytes as ours, so that pictures can be compared."""

import math
from collections.abc import Sequence as Several
from pathlib import Path

from dvc_codec.evaluation.anchors import anchor_named
from dvc_codec.evaluation.results import Results
from dvc_codec.evaluation.task import Measured, run_command

NEAR = 0.01  # of our bytes
ATTEMPTS = 4


def chosen_anchor(results: Results) -> str | None:
    """x265-veryfast if it was measured; else one that can be set to any rate; else any."""
    anchors = [name for name in results.codecs[1:] if results.codecs]
    fine = [name for name in anchors if anchor_named(name).decimals]
    return next((n for n in ("x265-veryfast", *fine, *anchors) if n in anchors), None)


def encode_to_size(
    source: Path, target: Path, name: str, known: Several[Measured], wanted: int, gop: int
) -> float:
    """Code ``source`` (y4m) with an anchor into about ``wanted`` bytes.

    Args:
        source: y4m, in the same folder as ``target``.
        target: the bare stream to make; its suffix must be the anchor's.
        name: of the anchor.
        known: its measured points on this source.
        wanted: bytes.
        gop: longest group of pictures.

    Returns:
        The point (CRF or QP) that came nearest, to a hundredth where the anchor takes decimals.
    """
    anchor = anchor_named(name)
    sizes = {p.point: math.log(p.file_bytes) for p in known}
    goal = math.log(wanted)

    def encode(point: float) -> float:
        command = anchor.encode_command(Path(source.name), Path(target.name), point, gop)
        run_command(command, source.parent)
        return math.log(target.stat().st_size)

    missed: dict[float, float] = {}  # by how much, of the points tried here
    for _ in range(ATTEMPTS):
        point = _where(sizes, goal)
        point = round(point, 2) if anchor.decimals else float(round(point))
        if point in missed:
            break
        sizes[point] = encode(point)
        missed[point] = abs(sizes[point] - goal)
        if missed[point] <= NEAR:
            break
    nearest = min(missed, key=missed.__getitem__)
    if nearest != next(reversed(missed)):  # small pictures: size may jump past the goal
        encode(nearest)
    return nearest


def _where(sizes: dict[float, float], goal: float) -> float:
    """The point at which a line through the two nearest known sizes has ``goal``."""
    near = sorted(sizes, key=lambda point: abs(sizes[point] - goal))[:2]
    if len(near) < 2 or sizes[near[0]] == sizes[near[1]]:
        return near[0]
    a, b = near
    return a + (goal - sizes[a]) * (b - a) / (sizes[b] - sizes[a])
