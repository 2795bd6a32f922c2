"""Ctrl-C and SIGTERM are not lost where a library swallows them."""

import os
import signal
import time
from contextlib import suppress

import pytest

from dvc_codec.cli.interrupt import check, exit_code, interruptible, seen


@pytest.mark.skipif(os.name == "nt", reason="os.kill ends the process there")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_swallowed_signal_is_raised_at_the_next_check(number: int, code: int) -> None:
    before = signal.getsignal(number)
    with interruptible():
        check()
        with suppress(KeyboardInterrupt):
            os.kill(os.getpid(), number)
            time.sleep(1)
        assert seen()
        assert exit_code() == code
        with pytest.raises(KeyboardInterrupt):
            check()
    assert signal.getsignal(number) is before


def test_a_new_run_knows_nothing_of_the_last() -> None:
    with interruptible():
        assert not seen()
        check()
