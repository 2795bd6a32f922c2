"""Work ahead in another thread: reading beside coding, parsing beside the networks."""

import queue
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class _Failed:
    error: BaseException


_END = object()


def ahead(items: Iterator[T], depth: int = 2) -> Generator[T]:
    """The same items in the same order, made up to ``depth`` ahead in a thread of its own.

    What ``items`` raises is raised here, in its place. Closing this generator ends the thread: use
    it in ``contextlib.closing``, or what ``items`` reads may be closed under the thread's hands.
    """
    ready: queue.Queue[object] = queue.Queue(depth)
    stop = threading.Event()

    def offer(item: object) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not offer(item):
                    return
            offer(_END)
        except BaseException as error:
            offer(_Failed(error))

    thread = threading.Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not _END:
            if isinstance(item, _Failed):
                raise item.error
            yield item  # type: ignore[misc]
    finally:
        stop.set()
        thread.join()
