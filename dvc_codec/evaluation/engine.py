"""Many tasks over the cores of this machine, each in a process of its own.

Another engine (a cluster's) needs nothing but :func:`dvc_codec.evaluation.task.run_task`.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path

import dvc_codec
from dvc_codec.errors import DvcError
from dvc_codec.evaluation.task import WORK, Measured, Task

ATTEMPTS = 2  # of a task whose process was killed: out of memory, or by somebody


def run_tasks(
    tasks: Iterable[Task],
    folder: Path,
    *,
    workers: int | None = None,
    done: Callable[[Task, Measured], None],
    failed: Callable[[Task, str], None],
) -> None:
    """Run all tasks; ``done`` and ``failed`` are called here, one after the other, as they end.

    Args:
        tasks: started in this order.
        folder: where coded files are kept; for one call at a time.
        workers: how many tasks run at a time, each with one thread; the number of cores by default.
        done: with what was measured.
        failed: with the reason, in one line. The other tasks go on.

    Whatever ends this function early ends the running tasks too.
    """
    local = _Local(folder)
    with _emptied(folder / WORK), ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        waiting: dict[Future[Measured], Task] = {pool.submit(local.run, t): t for t in tasks}
        try:
            for future in as_completed(waiting):
                task = waiting[future]
                try:
                    measured = future.result()
                except DvcError as error:
                    failed(task, str(error))
                else:
                    done(task, measured)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            local.end()
            raise


@contextmanager
def _emptied(folder: Path) -> Iterator[None]:
    """Before, of what a killed run left; and afterwards, of what killed tasks leave."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Local:
    """Starts tasks' processes, and knows those that run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._ended = False

    def run(self, task: Task) -> Measured:
        for attempt in range(1, ATTEMPTS + 1):
            code, said, errors = self._once(task)
            if code == 0:
                return Measured(**json.loads(said))
            if code > 0 or attempt == ATTEMPTS or self._ended:
                break
        last = (errors.strip().splitlines() or [f"its process ended with {code}"])[-1]
        raise DvcError(last)

    def end(self) -> None:
        """Kill what runs, with what it has started."""
        with self._lock:
            self._ended = True
            for process in self._running:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def _once(self, task: Task) -> tuple[int, str, str]:
        module = "dvc_codec.evaluation.task"
        package = str(Path(dvc_codec.__file__).resolve().parents[1])
        path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
        with self._lock:
            if self._ended:
                return 1, "", "stopped"
            process = subprocess.Popen(
                [sys.executable, "-m", module, task.to_json(), str(self._folder)],
                env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            self._running.add(process)
        try:
            said, errors = process.communicate()
        finally:
            with self._lock:
                self._running.discard(process)
        return process.returncode, said, errors
