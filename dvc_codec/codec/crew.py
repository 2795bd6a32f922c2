"""Work on several frames at a time, each as soon as the frames that it needs are done."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, TypeVar

import torch

T = TypeVar("T")
MEMORY = 2**30  # bytes that all who work at a time may take,
FRAME = 400  # of which a frame's networks take so many for each of its pixels
LARGEST = 4  # frames at a time; more than four of a group seldom are ready, and memory goes with it


def that_fit(pixels: int, beside: float = 0.0) -> int:
    """How many may work on frames of so many pixels at a time, for their memory's sake, each with
    so many bytes a pixel beside; one always may.

    >>> that_fit(832 * 480), that_fit(1280 * 720), that_fit(1920 * 1080)
    (6, 2, 1)
    """
    return max(1, int(MEMORY / (pixels * (FRAME + beside))))


class Crew:
    """Threads that share those that PyTorch was told to use: a frame in each beats all of them in
    one frame, whose operations are short. With one thread, work is done when it is given.

    Args:
        threads: None: as PyTorch was told.
        most: how many may work at a time.

    Attributes:
        size: how many work at a time.
        ahead: frames that should be given before the result of the first is waited for.
    """

    def __init__(self, threads: int | None = None, most: int = LARGEST) -> None:
        self._before = torch.get_num_threads()
        threads = threads or self._before
        self.size = min(threads, most, LARGEST)
        self.ahead = 3 * self.size if self.size > 1 else 0
        self._pool: ThreadPoolExecutor | None = None
        if self.size > 1:
            share = threads // self.size
            self._pool = ThreadPoolExecutor(
                self.size, "crew", initializer=torch.set_num_threads, initargs=(share,)
            )

    def add(self, work: Callable[..., T], needs: Sequence["Future[Any]"] = ()) -> "Future[T]":
        """What ``work(*results of needs)`` returns or raises, as soon as it can be. What is needed
        comes from this crew, too.
        """
        result: Future[T] = Future()
        missing, lock = [len(needs)], Lock()
        needed = list(needs)  # until it is used: a result would keep itself, by its callbacks

        def begin() -> None:
            if self._pool is None:
                run()
                return
            try:
                self._pool.submit(run)
            except RuntimeError:  # closed: nobody waits for it any more
                result.cancel()

        def run() -> None:
            try:
                found = [need.result() for need in needed]
                needed.clear()
                result.set_result(work(*found))
            except BaseException as error:
                result.set_exception(error)

        def one_is_done(_: "Future[Any]") -> None:
            with lock:
                missing[0] -= 1
                last = not missing[0]
            if last:
                begin()

        if not needs:
            begin()
        for need in needs:
            need.add_done_callback(one_is_done)
        return result

    def close(self) -> None:
        """What has not begun never will; what is being done is not waited for, so that Ctrl-C need
        not either: it holds all that it uses.
        """
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            torch.set_num_threads(self._before)  # theirs is the number of new threads, else

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def held(items: Iterator[T], count: int) -> Iterator[T]:
    """The same items, each only when ``count`` more were made, or no more will be.

    >>> list(held(iter("abc"), 2))
    ['a', 'b', 'c']
    """
    waiting: deque[T] = deque()
    try:
        for item in items:
            waiting.append(item)
            if len(waiting) > count:
                yield waiting.popleft()
    except Exception:
        yield from waiting  # what came before the error comes before the error
        raise
    yield from waiting
