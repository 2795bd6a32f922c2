"""Jobs over a Ray cluster whose machines share a file system and have this package.

The cluster is the one that RAY_ADDRESS names; without it, one on this machine that ends with us.
"""

import importlib
import io
import logging
import os
import sys
from collections.abc import Sequence as Several
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from dvc_codec.errors import DvcError
from dvc_codec.evaluation.engine import ATTEMPTS, ENVIRONMENT, Done, Failed, Job, last_line


def run_on_ray(
    jobs: Several[Job], *, workers: int | None = None, done: Done, failed: Failed
) -> None:
    """As engine.run_jobs. Every job takes one core; Ray starts it again if its worker is lost."""
    try:
        import ray
    except ImportError as error:
        raise DvcError("--engine ray needs ray: pip install 'dvc-codec[ray]'") from error

    own: dict[str, Any] = {}
    if not os.environ.get("RAY_ADDRESS"):
        own = {
            "address": "local",
            "num_cpus": workers or os.cpu_count(),
            "include_dashboard": False,
        }
    ray.init(
        log_to_driver=False,
        logging_level=logging.ERROR,
        runtime_env={"env_vars": ENVIRONMENT},
        **own,
    )
    try:
        remote = ray.remote(num_cpus=1, max_retries=ATTEMPTS)(run_here)
        where = os.getcwd()
        paths = [path for path in sys.path if path]
        numbers = {
            remote.remote(job.module, list(job.arguments), where, paths): number
            for number, job in enumerate(jobs)
        }
        waiting = list(numbers)
        while waiting:
            ready, waiting = ray.wait(waiting, num_returns=1)
            number = numbers[ready[0]]
            try:
                code, said, errors = ray.get(ready[0])
            except ray.exceptions.RayError as error:
                failed(number, " ".join(str(error).split()))
                continue
            if code:
                failed(number, last_line(errors, code))
            else:
                done(number, said)
    finally:
        ray.shutdown()  # ends what runs, too


def run_here(
    module: str, arguments: list[str], where: str, paths: list[str]
) -> tuple[int, str, str]:
    """A job in this very process, in folder ``where`` -> exit code, what it printed, its errors.

    A worker that is killed takes the job with it, so that nobody else writes its files.
    """
    os.chdir(where)
    sys.path.extend(path for path in paths if path not in sys.path)
    said, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(said), redirect_stderr(errors):
        code = importlib.import_module(module).main(arguments)
    return int(code), said.getvalue(), errors.getvalue()
