"""Many jobs over the cores of this machine, each in a process of its own, or over a Ray cluster.

A job is a module of ours with a main(arguments) that prints its result: an evaluation's task, or
the command line itself.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Several
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import dvc_codec
from dvc_codec.errors import DvcError
from dvc_codec.evaluation.task import WORK, Measured, Task

ATTEMPTS = 2  # of a job whose process was killed: out of memory, or by somebody
ENVIRONMENT = {"OMP_NUM_THREADS": "1"}  # of every job: as many jobs run as there are cores

Engine = Literal["local", "ray"]


@dataclass(frozen=True)
class Job:
    """``python -m module arguments``."""

    module: str
    arguments: tuple[str, ...]


Done = Callable[[int, str], None]  # number of the job, what it printed
Failed = Callable[[int, str], None]  # number of the job, why in one line


def run_tasks(
    tasks: Several[Task],
    folder: Path,
    *,
    workers: int | None = None,
    done: Callable[[Task, Measured], None],
    failed: Callable[[Task, str], None],
    engine: Engine = "local",
) -> None:
    """Run all tasks; ``done`` and ``failed`` are called here, one after the other, as they end.

    Args:
        tasks: started in this order.
        folder: where coded files are kept; for one call at a time.
        workers: how many tasks run at a time, each with one thread; the number of cores by default.
        done: with what was measured.
        failed: with the reason, in one line. The other tasks go on.
        engine: where they run; results do not depend on it.

    Whatever ends this function early ends the running tasks too.
    """
    tasks = list(tasks)
    jobs = [Job("dvc_codec.evaluation.task", (task.to_json(), str(folder))) for task in tasks]
    with _emptied(folder / WORK):
        run_jobs(
            jobs,
            workers=workers,
            done=lambda n, said: done(tasks[n], Measured(**json.loads(said))),
            failed=lambda n, reason: failed(tasks[n], reason),
            engine=engine,
        )


def run_jobs(
    jobs: Several[Job],
    *,
    workers: int | None = None,
    done: Done,
    failed: Failed,
    engine: Engine = "local",
) -> None:
    """The same for any jobs; a job whose worker is lost runs again."""
    if engine == "ray":
        from dvc_codec.evaluation.ray_engine import run_on_ray

        run_on_ray(jobs, workers=workers, done=done, failed=failed)
        return
    local = _Local()
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        waiting: dict[Future[str], int] = {
            pool.submit(local.run, job): number for number, job in enumerate(jobs)
        }
        try:
            for future in as_completed(waiting):
                number = waiting[future]
                try:
                    said = future.result()
                except DvcError as error:
                    failed(number, str(error))
                else:
                    done(number, said)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            local.end()
            raise


def last_line(errors: str, code: int) -> str:
    """Why a job failed, of all that it wrote to standard error."""
    return (errors.strip().splitlines() or [f"its process ended with {code}"])[-1]


@contextmanager
def _emptied(folder: Path) -> Iterator[None]:
    """Before, of what a killed run left; and afterwards, of what killed tasks leave."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Local:
    """Starts jobs' processes, and knows those that run."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._ended = False

    def run(self, job: Job) -> str:
        """What it printed; raises DvcError where it failed."""
        for attempt in range(1, ATTEMPTS + 1):
            code, said, errors = self._once(job)
            if code == 0:
                return said
            if code > 0 or attempt == ATTEMPTS or self._ended:
                break
        raise DvcError(last_line(errors, code))

    def end(self) -> None:
        """Kill what runs, with what it has started."""
        with self._lock:
            self._ended = True
            for process in self._running:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def _once(self, job: Job) -> tuple[int, str, str]:
        package = str(Path(dvc_codec.__file__).resolve().parents[1])
        path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
        with self._lock:
            if self._ended:
                return 1, "", "stopped"
            process = subprocess.Popen(
                [sys.executable, "-m", job.module, *job.arguments],
                env={**os.environ, "PYTHONPATH": path, **ENVIRONMENT},
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
