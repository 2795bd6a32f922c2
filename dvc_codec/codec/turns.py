"""What comes early waits for its turn."""

from typing import Generic, TypeVar

T = TypeVar("T")


class InTurn(Generic[T]):
    """Gives numbered items back in the order of their numbers, each as early as can be.

    >>> frames = InTurn[str]()
    >>> frames.begin(10)
    >>> [frames.add(number, kind) for number, kind in [(10, "I"), (12, "P"), (11, "B")]]
    [[(10, 'I')], [], [(11, 'B'), (12, 'P')]]
    """

    def __init__(self) -> None:
        self._next = 0
        self._early: dict[int, T] = {}

    def begin(self, number: int) -> None:
        """Wait for ``number`` from here on; what still waits is forgotten."""
        self._next, self._early = number, {}

    def add(self, number: int, item: T) -> list[tuple[int, T]]:
        """What has its turn now, with its numbers."""
        self._early[number] = item
        ready = []
        while self._next in self._early:
            ready.append((self._next, self._early.pop(self._next)))
            self._next += 1
        return ready
