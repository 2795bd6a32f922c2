"""train.py: the commands, and errors as one line and an exit code (docs/training.md)."""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from dvc_codec.errors import DamagedFile, DvcError, UsageError

COMMANDS = """\
commands (each with --help):
  fit -c CONFIG [-c MORE]    train; --ckpt_path last goes on where it stopped, --max-time 50m stops
  validate -c CONFIG         whole sequences, by the loss and by real bytes
  run-stages [FOLDER]        every stage of a folder of configurations, going on where it stopped
  check-data FOLDER          decode a data set and say what cannot be used
  export                     checkpoint -> weights that encode.py takes, and a model card
  stills                     train the filter of I frames, and put it beside weights
  post                       the same with the post-filter of P and B frames
  statistics                 learn what the entropy coder starts with, and put it into weights
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(f"usage: train.py COMMAND ...\n\n{COMMANDS}", end="")
        return 0 if given else UsageError.exit_code
    try:
        if given[0] not in RUNNERS:
            raise UsageError(f"no command {given[0]!r}; there are {', '.join(RUNNERS)}")
        return RUNNERS[given[0]](given)
    except DvcError as error:
        print(f"train.py: {' '.join(str(error).splitlines())}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("train.py: interrupted", file=sys.stderr)
        return 130


def seconds(said: str) -> float:
    """A span of time: "90", "90s", "50m", "1.5h", or "00:01:30:00" (days, hours, ...).

    >>> seconds("50m"), seconds("00:01:30:00")
    (3000.0, 5400.0)
    """
    units = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
    plain = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", said)
    if plain:
        return float(plain[1]) * units[plain[2]]
    parts = re.fullmatch(r"(\d+):(\d+):(\d+):(\d+)", said)
    if not parts:
        raise UsageError(
            f"--max-time {said}: expected 90s, 50m, 1.5h or days:hours:minutes:seconds"
        )
    days, hours, minutes, rest = (int(p) for p in parts.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + rest)


def with_max_time(arguments: Sequence[str]) -> list[str]:
    """--max-time 50m as Keeper's argument."""
    found: list[str] = []
    waiting = iter(arguments)
    for word in waiting:
        name, is_given, value = word.partition("=")
        if name not in ("--max-time", "--max_time"):
            found.append(word)
            continue
        value = value if is_given else next(waiting, "")
        found.append(f"--keeper.max_time={seconds(value)}")
    return found


def _lightning(arguments: list[str]) -> int:
    try:
        from dvc_codec.training.command_line import run
    except ImportError as error:
        raise UsageError(
            f"{error}; training needs more packages: pip install 'dvc-codec[train]'"
        ) from error
    return run(with_max_time(arguments))


def _check_data(arguments: list[str]) -> int:
    from dvc_codec.training.clips import find_clips, usable
    from dvc_codec.training.intra_frames import load_bank

    parser = argparse.ArgumentParser(prog="train.py check-data", description="Decode a data set.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bank", type=Path, help="I frames coded beforehand, checked as well")
    parser.add_argument("--clips", type=int, help="the first ones only")
    chosen = parser.parse_args(arguments[1:])
    wanted, decode = find_clips(chosen.folder)
    numbers: list[int] = []
    skipped: list[str] = []
    size = 0
    for number, pictures in usable(chosen.folder, wanted[: chosen.clips], decode, skipped):
        numbers.append(number)
        size += pictures.nbytes
        frames, rows, width = pictures.shape
    print(
        f"{chosen.folder}: {len(numbers)} clips of {frames} frames, {width}x{rows * 2 // 3}, "
        f"{size / 1e9:.2f} GB in memory; {len(skipped)} skipped"
    )
    if chosen.bank:
        bank = load_bank(chosen.bank, tuple(numbers))
        print(f"{chosen.bank}: {len(bank.rates)} I frames at {len(set(bank.rates))} rates")
    if skipped:
        raise DamagedFile(f"{chosen.folder}: {len(skipped)} clips cannot be used")
    return 0


def _export(arguments: list[str]) -> int:
    from dvc_codec.training.export import main as export

    export(arguments[1:])
    return 0


def _stills(arguments: list[str]) -> int:
    from dvc_codec.training.stills import main as stills

    stills(arguments[1:])
    return 0


def _post(arguments: list[str]) -> int:
    from dvc_codec.training.post import main as post

    post(arguments[1:])
    return 0


def _statistics(arguments: list[str]) -> int:
    from dvc_codec.training.statistics import main as statistics

    statistics(arguments[1:])
    return 0


def _run_stages(arguments: list[str]) -> int:
    from dvc_codec.training.stages import main as run_stages

    return run_stages(arguments[1:])


RUNNERS: dict[str, Callable[[list[str]], int]] = {
    "fit": _lightning,
    "validate": _lightning,
    "run-stages": _run_stages,
    "check-data": _check_data,
    "export": _export,
    "stills": _stills,
    "post": _post,
    "statistics": _statistics,
}
