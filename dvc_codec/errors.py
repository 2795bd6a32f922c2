"""Everything that can go wrong and that the user can do something about.

Raised where the trouble is known, turned into one line and an exit code in ``cli/`` alone. A
message names the file, what was found, what was expected and what to do.

=================  =========  =============================================================
class              exit code  meaning
=================  =========  =============================================================
DvcError           1          base class; anything without a class of its own
UsageError         2          the command line (or the arguments) cannot be understood
FileMissing        3          an input does not exist or cannot be read
NotAVideo          4          no video inside: not a video file, no video stream, no frames
DamagedFile        5          a .dvc file that is cut or corrupt
WrongVersion       6          a .dvc file of a format version this program does not know
WrongModel         7          the weights are not the ones the .dvc file was made with
OutOfRange         8          a parameter outside its range
CannotWrite        9          the target cannot be written, or the disk is full
UnsupportedVideo   10         a video with something we do not code (transparency, ...)
Concealed          11         decoded, but a damaged file: some pictures are repeats of others
NoDevice           12         the networks cannot run where they were asked to
=================  =========  =============================================================

Signals are no errors of this kind: Ctrl-C and SIGTERM end with 130 and 143 (``cli/interrupt.py``).
"""

from typing import ClassVar


class DvcError(Exception):
    """Base of all errors that are reported to the user as one line."""

    exit_code: ClassVar[int] = 1


class UsageError(DvcError):
    """The command line (or the arguments) cannot be understood."""

    exit_code = 2


class FileMissing(DvcError):
    """An input does not exist or cannot be read."""

    exit_code = 3


class NotAVideo(DvcError):
    """No video inside: not a video file, no video stream, or no frames."""

    exit_code = 4


class DamagedFile(DvcError):
    """A .dvc file that is cut or corrupt."""

    exit_code = 5


class WrongVersion(DvcError):
    """A .dvc file of a format version this program does not know."""

    exit_code = 6


class WrongModel(DvcError):
    """The weights are not the ones the .dvc file was made with."""

    exit_code = 7


class OutOfRange(DvcError):
    """A parameter outside its range."""

    exit_code = 8


class CannotWrite(DvcError):
    """The target cannot be written, or the disk is full."""

    exit_code = 9


class UnsupportedVideo(DvcError):
    """A video with something we do not code, such as transparency."""

    exit_code = 10


class Concealed(DvcError):
    """Decoded, but from a damaged file: some pictures are repeats of others, or the end is
    missing.
    """

    exit_code = 11


class NoDevice(DvcError):
    """The networks cannot run where they were asked to."""

    exit_code = 12
