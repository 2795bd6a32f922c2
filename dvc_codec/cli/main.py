"""dvc-codec: the command, its sub-commands, and errors as one line and an exit code."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from dvc_codec import __version__
from dvc_codec.cli import (
    completion,
    decode,
    encode,
    encode_many,
    evaluate,
    info,
    inspect,
    transcode,
    verify,
)
from dvc_codec.cli.allocator import keep_freed_memory
from dvc_codec.cli.interrupt import exit_code, interruptible, seen
from dvc_codec.cli.options import Parser, printable
from dvc_codec.errors import DvcError

BROKEN_PIPE = 141  # what a shell says of a program that SIGPIPE ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code (docs/usage.md has the table).

    An error of the user's is one line on standard error, Ctrl-C and SIGTERM included; whoever
    closes the pipe we write to (``| head``) knows it and is told nothing.
    """
    try:
        with interruptible():
            chosen = command_line().parse_args(arguments)
            chosen.run(chosen)
            sys.stdout.flush()
    except DvcError as error:
        if seen():
            return _interrupted()
        if isinstance(error.__cause__, BrokenPipeError):
            return _hush()
        print(f"dvc-codec: {printable(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:
        return _hush()
    return 0


def program(arguments: Sequence[str] | None = None) -> NoReturn:
    """:func:`main` as a process. One that is interrupted ends at once: its threads may be in the
    middle of a frame, and all files are closed or gone by then.
    """
    keep_freed_memory()
    code = main(arguments)
    if seen():
        with suppress(OSError):
            sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def command_line() -> Parser:
    """The whole grammar."""
    parser = Parser(
        prog="dvc-codec",
        description="A learned video codec: real videos to .dvc files and back.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    encode.add_to(commands)
    decode.add_to(commands)
    info.add_to(commands)
    verify.add_to(commands)
    inspect.add_to(commands)
    transcode.add_to(commands)
    encode_many.add_to(commands)
    evaluate.add_to(commands)
    completion.add_to(commands)
    return parser


def _interrupted() -> int:
    print("dvc-codec: interrupted; no file was finished", file=sys.stderr)
    return exit_code()


def _hush() -> int:
    """Let nothing more go to the closed pipe, not even what Python flushes when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE


if __name__ == "__main__":
    program()
