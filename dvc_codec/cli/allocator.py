"""Freed memory is kept for what comes next: a frame's tensors are as large as the last one's.

glibc gives large blocks back to the system as soon as they are free. The next frame then touches
every page anew, which took 3 to 11 % of the decoder's processor time
(docs/experiments.md#compiled).
"""

import ctypes
import sys
from contextlib import suppress

# of mallopt(), see its manual page
TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
NEVER = (1 << 31) - 1  # bytes that are free before any are given back
LARGEST = 1 << 24  # bytes of a block that may come from what was freed; larger ones are few


def keep_freed_memory() -> None:
    """For this process, from here on; before there are threads. Elsewhere than with glibc nothing
    happens.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):  # another C library
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(TRIM_THRESHOLD, NEVER)
        libc.mallopt(MMAP_THRESHOLD, LARGEST)
        libc.mallopt(ARENA_MAX, 1)  # else every thread keeps what it freed to itself
