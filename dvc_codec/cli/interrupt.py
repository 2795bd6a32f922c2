"""Ctrl-C and SIGTERM, so that they are not lost: libraries that call us back may swallow a
KeyboardInterrupt.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_seen: list[int] = []  # numbers of the signals that came, in order


@contextmanager
def interruptible() -> Iterator[None]:
    """Within the block, Ctrl-C and SIGTERM raise KeyboardInterrupt, and ``seen()`` remembers."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's alone
        return
    _seen.clear()
    before, hook = [signal.signal(number, _remember) for number in SIGNALS], sys.unraisablehook
    sys.unraisablehook = lambda lost: None if _seen else hook(lost)
    try:
        yield
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)
        sys.unraisablehook = hook


def seen() -> bool:
    """Whether Ctrl-C was pressed, or SIGTERM came."""
    return bool(_seen)


def exit_code() -> int:
    """What a shell says of a program that the first of these signals ended: 130 or 143."""
    return 128 + (_seen[0] if _seen else signal.SIGINT)


def check() -> None:
    """Raise KeyboardInterrupt if one got lost."""
    if _seen:
        raise KeyboardInterrupt


def _remember(number: int, frame: FrameType | None) -> None:
    _seen.append(number)
    raise KeyboardInterrupt
