"""Work ahead in another thread: reading beside coding, parsing beside the networks."""

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


def _next(ready: queue.Queue[object], waiting: Callable[[], None] | None) -> object:
    while True:
        try:
            return ready.get(timeout=None if waiting is None else 0.5)
        except queue.Empty:
            assert waiting is not None
            waiting()


@dataclass(frozen=True)
class _Failed:
    error: BaseException


_END = object()


def ahead(
    items: Iterator[T],
    depth: int = 2,
    *,
    waiting: Callable[[], None] | None = None,
    stopping: Callable[[], None] | None = None,
) -> Generator[T]:
    """The same items in the same order, made up to ``depth`` ahead in a thread of its own.

    ``waiting`` is called twice a second while there is nothing yet: it may raise. ``stopping`` is
    called before the thread is waited for: it ends what ``items`` may wait for itself. (What raises
    in here, a signal's KeyboardInterrupt too, comes to that wait before any caller can do more.)
    What ``items`` raises is raised here, in its place. Closing this generator ends the thread: use
    it in ``contextlib.closing``, or what ``items`` reads may be closed under the thread's hands.
    """
    ready: queue.Queue[object] = queue.Queue(depth)
    stop, begun = threading.Event(), threading.Event()

    def offer(item: object) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        begun.set()
        if stop.is_set():
            return
        try:
            for item in items:
                if not offer(item):
                    return
            offer(_END)
        except BaseException as error:
            offer(_Failed(error))

    thread = threading.Thread(target=work, name="ahead", daemon=True)
    try:
        thread.start()  # which waits for the thread, and may be interrupted there
        while (item := _next(ready, waiting)) is not _END:
            if isinstance(item, _Failed):
                raise item.error
            yield item  # type: ignore[misc]
    finally:
        stop.set()
        if stopping is not None:
            stopping()
        if begun.is_set():  # else it will find `stop` before it touches anything
            thread.join()
