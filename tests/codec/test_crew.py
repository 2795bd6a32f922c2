"""Work on several things at a time, each when what it needs is done."""

import gc
import threading
import time
import weakref
from collections.abc import Iterator

import pytest
import torch

from dvc_codec.codec.crew import Crew, held


@pytest.mark.parametrize("threads", [1, 2, 3, 9])
def test_work_begins_when_what_it_needs_is_done(threads: int) -> None:
    usual = torch.get_num_threads()
    done: list[str] = []

    def work(name: str, *of: str) -> str:
        time.sleep(0.01 if name in "ac" else 0)
        done.append(name)
        return name + "".join(of)

    with Crew(threads) as crew:
        assert crew.size == min(threads, 4)
        a = crew.add(lambda: work("a"))
        b = crew.add(lambda *of: work("b", *of), (a,))
        c = crew.add(lambda *of: work("c", *of), (a,))
        d = crew.add(lambda *of: work("d", *of), (b, c))
        assert d.result() == "dbaca"
    assert done.index("a") < min(map(done.index, "bc")) and done[-1] == "d"
    assert torch.get_num_threads() == usual


def test_two_are_done_at_a_time() -> None:
    both = threading.Barrier(2, timeout=20)
    with Crew(2) as crew:
        numbers = [crew.add(both.wait) for _ in range(2)]
        assert sorted(number.result() for number in numbers) == [0, 1]


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_comes_to_whoever_needs_the_result(threads: int) -> None:
    def fails() -> int:
        raise ValueError("the first")

    with Crew(threads) as crew:
        later = crew.add(lambda x: x + 1, (crew.add(fails),))
        with pytest.raises(ValueError, match="the first"):
            later.result()


def test_closing_waits_for_nothing_and_drops_what_has_not_begun() -> None:
    begun, go_on, done = threading.Event(), threading.Event(), []

    def slow() -> None:
        begun.set()
        go_on.wait(20)
        done.append("slow")

    crew = Crew(2)
    first = crew.add(slow)
    after = crew.add(lambda _: done.append("after"), (first,))
    begun.wait(20)
    crew.close()
    assert not done
    go_on.set()
    first.result(20)
    assert done == ["slow"] and after.cancelled()


def test_held_items_come_before_the_error_after_them() -> None:
    def items() -> Iterator[int]:
        yield from range(4)
        raise ValueError("the fifth")

    found = []
    with pytest.raises(ValueError, match="the fifth"):
        for item in held(items(), 2):
            found.append(item)
    assert found == [0, 1, 2, 3]
    made: list[int] = []
    pulled = held((made.append(n) or n for n in range(9)), 2)
    assert next(pulled) == 0 and made == [0, 1, 2]


@pytest.mark.parametrize("threads", [1, 2])
def test_what_nobody_needs_any_more_is_gone_at_once(threads: int) -> None:
    """Without waiting for the garbage collector, which does not know how large pictures are."""

    class Large:
        pass

    def work(*of: Large) -> Large:
        made = Large()
        alive.append(weakref.ref(made))
        return made

    def slow() -> Large:
        time.sleep(0.05)
        return work()

    alive: list[weakref.ref[Large]] = []
    gc.disable()
    try:
        with Crew(threads) as crew:
            last = crew.add(slow)
            for _ in range(20):  # while the first is not done
                last = crew.add(work, (last,))
            last.result()
            for _ in range(200):  # the thread may be about to let go of what it was given
                if sum(item() is not None for item in alive) <= 2:
                    break
                time.sleep(0.01)
            assert sum(item() is not None for item in alive) <= 2
    finally:
        gc.enable()
