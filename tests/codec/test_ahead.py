"""Items made in another thread, and what is left of it when something comes in between."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from dvc_codec.codec.ahead import ahead


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "ahead"]


def test_items_come_in_order_and_errors_in_their_place() -> None:
    def items() -> Iterator[int]:
        yield from range(5)
        raise ValueError("the sixth")

    found = []
    with pytest.raises(ValueError, match="the sixth"), closing(ahead(items())) as numbers:
        for number in numbers:
            found.append(number)
    assert found == [0, 1, 2, 3, 4] and not threads()


def test_closing_waits_for_the_thread() -> None:
    closed = []

    def items() -> Iterator[int]:
        try:
            while True:
                yield 1
                time.sleep(0.05)
        finally:
            closed.append(True)

    source = items()
    with closing(ahead(source)) as numbers:
        assert next(numbers) == 1
    assert not threads()
    source.close()  # would raise, were the thread still in it
    assert closed


@pytest.mark.parametrize("thread_is", ["running", "late"])
def test_an_interrupt_while_the_thread_starts_leaves_nothing_running(
    thread_is: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal is likely right there: starting waits for the thread. The reader behind ``items`` is
    closed next, and a thread still in it would read freed memory.
    """
    start, begin_late = threading.Thread.start, []
    reading, touched = threading.Event(), []

    def interrupted(thread: threading.Thread) -> None:
        if thread_is == "running":
            start(thread)
            reading.wait()
        else:
            begin_late.append(thread)
        raise KeyboardInterrupt

    def items() -> Iterator[int]:
        reading.set()
        time.sleep(0.2)
        touched.append(threading.current_thread().name)
        yield 1

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(ahead(items()))
    monkeypatch.undo()
    assert not threads()
    for thread in begin_late:
        thread.start()
        thread.join()
    assert touched == (["ahead"] if thread_is == "running" else [])
