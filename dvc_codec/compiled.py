"""Loops that numba compiles to the processor's own instructions, at their first call in a while."""

from collections.abc import Callable
from typing import Any, TypeVar

try:
    from numba import njit
except ImportError:  # as on a machine for training alone
    njit = None  # type: ignore[assignment]

AVAILABLE = njit is not None
Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(function: Kernel) -> Kernel:
    """``function``, compiled: other threads go on while it runs, and what it gives depends on no
    thread and no machine, as nothing is contracted or reordered. It is kept on disk, beside the
    source or in the user's cache folder; where neither can be written to, every process compiles
    anew. Without numba it stays as it is, and slow.
    """
    if njit is None:
        return function
    try:
        return njit(function, nogil=True, cache=True)  # type: ignore[no-any-return]
    except RuntimeError:  # nowhere to keep it
        return njit(function, nogil=True)  # type: ignore[no-any-return]
