"""Ctrl-C, so that it is not lost: libraries that call us back may swallow a KeyboardInterrupt."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_seen = threading.Event()


@contextmanager
def interruptible() -> Iterator[None]:
    """Within the block, Ctrl-C raises KeyboardInterrupt, and ``seen()`` remembers it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's alone
        return
    before, hook = signal.getsignal(signal.SIGINT), sys.unraisablehook
    _seen.clear()
    signal.signal(signal.SIGINT, _remember)
    sys.unraisablehook = lambda lost: None if _seen.is_set() else hook(lost)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        sys.unraisablehook = hook


def seen() -> bool:
    """Whether Ctrl-C was pressed."""
    return _seen.is_set()


def check() -> None:
    """Raise KeyboardInterrupt if one got lost."""
    if _seen.is_set():
        raise KeyboardInterrupt


def _remember(number: int, frame: FrameType | None) -> None:
    _seen.set()
    raise KeyboardInterrupt
