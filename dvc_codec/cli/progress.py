"""A line on the terminal that says how far we are. Nothing where standard error is no terminal,
or events for programs where they are asked for.
"""

import json
import shutil
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from dvc_codec.cli.interrupt import check

_SECONDS_BETWEEN = 0.2


class ProgressLine:
    """One line, written over again and again, and gone at the end of the ``with`` block.

    Args:
        wanted: False keeps it silent whatever standard error is.
        events: a line of JSON a second on standard error instead, and one for the last frame.
    """

    def __init__(self, wanted: bool = True, *, events: bool = False) -> None:
        self._events = events
        self._shown = wanted and sys.stderr.isatty() and not events
        self._begun = time.monotonic()
        self._last = 0.0

    def show(
        self, done: int, total: int | None, *more: str, facts: Mapping[str, Any] | None = None
    ) -> None:
        """``done`` of ``total`` frames, the rate, the time to go; ``more`` for people, ``facts``
        for programs.
        """
        check()
        now = time.monotonic()
        if self._events:
            if now - self._last >= 1 or done == total:
                self._last = now
                self._event(done, total, now - self._begun, facts or {})
            return
        if not self._shown or (now - self._last < _SECONDS_BETWEEN and done != total):
            return
        self._last = now
        rate = done / max(1e-9, now - self._begun)
        parts = [f"frame {done}" + (f"/{total}" if total else ""), f"{rate:.1f} frames/s"]
        if total and total >= done:
            parts.append(f"ETA {as_clock((total - done) / rate)}")
        self._write("  ".join((*parts, *more)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown:
            self._write("")
            print("\r", end="", file=sys.stderr, flush=True)

    def _event(
        self, done: int, total: int | None, seconds: float, facts: Mapping[str, Any]
    ) -> None:
        rate = done / max(1e-9, seconds)
        event = {
            "event": "progress",
            "frame": done,
            "frames": total,
            "seconds": seconds,
            "frames_per_second": rate,
            "seconds_left": (total - done) / rate if total and total >= done and rate else None,
        }
        print(json.dumps({**event, **facts}), file=sys.stderr, flush=True)

    def _write(self, text: str) -> None:
        columns = shutil.get_terminal_size().columns - 1
        print(f"\r{text[:columns]:<{columns}}", end="", file=sys.stderr, flush=True)


def as_clock(seconds: float) -> str:
    """Minutes and seconds, and hours where there are any.

    >>> as_clock(75), as_clock(3723)
    ('1:15', '1:02:03')
    """
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
