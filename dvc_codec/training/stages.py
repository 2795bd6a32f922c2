"""`train.py run-stages`: every stage in order, each from the weights of the one before.

Run again, it skips what is finished and goes on in the middle of what is not.
"""

import argparse
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import FrameType

from dvc_codec.errors import FileMissing
from dvc_codec.training.main import seconds

FINISHED, LAST = "finished", "last.ckpt"
DOOR = Path(__file__).resolve().parents[2] / "train.py"


def stages_in(folder: Path) -> list[Path]:
    """The configurations whose names begin with two digits, in order. Raises FileMissing."""
    found = sorted(p for p in folder.glob("*.yaml") if re.match(r"\d\d_", p.name))
    if not found:
        raise FileMissing(f"{folder}: found no stage, expected files such as 01_one_p.yaml")
    return found


def command(
    stage: Path, overlays: Sequence[Path], out: Path, before: Path | None, rest: Sequence[str]
) -> list[str]:
    """The command line of one stage."""
    words = [*_python(), "fit", "-c", str(stage)]
    for overlay in overlays:
        words += ["-c", str(overlay)]
    words += [f"--trainer.default_root_dir={out / stage.stem}", "--ckpt_path=last"]
    if before is not None:
        words.append(f"--model.init_from={before / LAST}")
    return [*words, *rest]


def main(arguments: Sequence[str]) -> int:
    """The command line. -> exit code of the stage that ended it."""
    parser = argparse.ArgumentParser(
        prog="train.py run-stages",
        description=__doc__,
        epilog="further options go to every stage: --data.data FOLDER, --model.network dvc2019",
    )
    parser.add_argument("folder", type=Path, nargs="?", default=Path("configs/train"))
    parser.add_argument("--out", type=Path, default=Path("runs/stages"), help="a folder per stage")
    parser.add_argument("--overlay", type=Path, action="append", default=[], help="YAML over all")
    parser.add_argument("--max-time", type=seconds, help="of all stages together: 50m, 1.5h")
    parser.add_argument("--export", type=Path, help="at the end, weights to this .safetensors")
    given, rest = parser.parse_known_args(arguments)
    begun = time.monotonic()
    before: Path | None = None
    for stage in stages_in(given.folder):
        folder = given.out / stage.stem
        if not (folder / FINISHED).is_file():
            words = command(stage, given.overlay, given.out, before, rest)
            if given.max_time is not None:
                left = given.max_time - (time.monotonic() - begun)
                if left <= 0:
                    break
                words.append(f"--keeper.max_time={left:.0f}")
            print(f"== {stage.stem}", flush=True)
            code = _run(words)
            if code:
                return code
            if not (folder / FINISHED).is_file():
                break
        before = folder
    else:
        return _export(given.export, before, rest) if given.export and before else 0
    print("time is up: run the same command again to go on", file=sys.stderr)
    return 0


def _export(out: Path, stage: Path, rest: Sequence[str]) -> int:
    data = [w.partition("=")[2] for w in rest if w.startswith("--data.data=")]
    data += [b for a, b in pairwise(rest) if a == "--data.data"]
    words = [*_python(), "export", f"--checkpoint={stage / LAST}", f"--out={out}"]
    return _run(words + ([f"--data={data[0]}"] if data else []))


def _python() -> list[str]:
    return [sys.executable, str(DOOR)]


def _run(words: list[str]) -> int:
    """Run a command; signals are passed on, so that it ends with a checkpoint."""
    told: list[int] = []

    def tell(number: int, frame: FrameType | None) -> None:
        told.append(number)
        if number == signal.SIGTERM:  # Ctrl-C reaches the child by itself
            child.send_signal(number)

    child = subprocess.Popen(words)
    before = {n: signal.signal(n, tell) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 128 + told[0] if told and code <= 0 else (code if code >= 0 else 128 - code)
