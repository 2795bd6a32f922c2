"""Ctrl-C is not lost where a library swallows it."""

import os
import signal
import time
from contextlib import suppress

import pytest

from dvc_codec.cli.interrupt import check, interruptible, seen


def test_a_swallowed_ctrl_c_is_raised_at_the_next_check() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruptible():
        check()
        with suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
        assert seen()
        with pytest.raises(KeyboardInterrupt):
            check()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_new_run_knows_nothing_of_the_last() -> None:
    with interruptible():
        assert not seen()
        check()
