"""Many jobs: over processes and over a Ray cluster, and what happens to those that are lost."""

import json
import os
import signal
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from dvc_codec.cli.main import main
from dvc_codec.errors import DvcError, FileMissing, UsageError
from dvc_codec.evaluation.engine import Job, run_jobs, run_tasks
from dvc_codec.evaluation.sequences import Sequence
from dvc_codec.evaluation.task import Measured, Task
from tests.files import kinds_of, write_video
from tests.moving import panned_texture

CLOCK = ("encode_seconds", "decode_seconds", "encode_fps", "decode_fps")
MEMORY = ("encode_memory", "decode_memory")


def same_but_time(point: Measured) -> dict[str, Any]:
    """What must not depend on the engine: all but clock and memory."""
    return {k: v for k, v in json.loads(json.dumps(asdict(point))).items()
            if k not in (*CLOCK, *MEMORY)}  # fmt: skip


def tasks_of(tmp_path: Path) -> list[Task]:
    video = write_video(tmp_path / "pan.y4m", panned_texture(frames=3))
    sequence = Sequence("pan", video)
    return [Task(sequence, "x264-veryfast", crf, 32, extras=("rgb",)) for crf in (20, 28, 36)]


def measured_by(engine: Any, tasks: list[Task], folder: Path) -> dict[float, dict[str, Any]]:
    folder.mkdir()
    found: dict[float, dict[str, Any]] = {}
    reasons: list[str] = []
    run_tasks(
        tasks,
        folder,
        workers=2,
        done=lambda task, point: found.update({task.point: same_but_time(point)}),
        failed=lambda task, reason: reasons.append(reason),
        engine=engine,
    )
    assert not reasons
    return found


def test_ray_measures_what_processes_here_do(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    tasks = tasks_of(tmp_path)
    here = measured_by("local", tasks, tmp_path / "here")
    there = measured_by("ray", tasks, tmp_path / "there")
    assert len(here) == 3 and here == there
    for task in tasks:
        name = here[task.point]["coded"]
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


def test_a_job_whose_ray_worker_is_killed_runs_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    (tmp_path / "slow_job.py").write_text(SLOW_JOB)
    monkeypatch.syspath_prepend(str(tmp_path))
    began = tmp_path / "began"
    killed: list[int] = []

    def kill_the_first() -> None:
        while not began.exists():
            time.sleep(0.05)
        time.sleep(0.2)
        killed.append(int(began.read_text().split()[0]))
        os.kill(killed[0], signal.SIGKILL)

    thread = threading.Thread(target=kill_the_first, daemon=True)
    thread.start()
    said: dict[int, str] = {}
    reasons: dict[int, str] = {}
    jobs = [Job("slow_job", (str(began),)), Job("slow_job", ("fail",))]
    run_jobs(
        jobs,
        workers=1,
        done=lambda n, text: said.update({n: text.strip()}),
        failed=lambda n, why: reasons.update({n: why}),
        engine="ray",
    )
    pids = began.read_text().split()
    assert len(pids) == 2 and int(pids[0]) == killed[0] != int(pids[1])
    assert said == {0: "done"}
    assert reasons == {1: "it cannot be done"}


SLOW_JOB = """
import os, sys, time

def main(arguments):
    if arguments == ["fail"]:
        print("a line\\nit cannot be done", file=sys.stderr)
        return 3
    with open(arguments[0], "a") as file:
        file.write(f"{os.getpid()} ")
    if len(open(arguments[0]).read().split()) == 1:
        time.sleep(60)
    print("done")
    return 0
"""


def test_without_ray_the_way_to_get_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(DvcError, match=r"pip install 'dvc-codec\[ray\]'"):
        run_jobs([], done=lambda *_: None, failed=lambda *_: None, engine="ray")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Two videos in two folders, a file that is none, and one that only looks like one."""
    folder = tmp_path / "library"
    (folder / "deep").mkdir(parents=True)
    write_video(folder / "a.y4m", panned_texture(frames=2))
    write_video(folder / "deep" / "b.y4m", panned_texture(frames=3))
    (folder / "notes.txt").touch()
    return folder


def test_a_library_is_coded_and_not_twice(
    library: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["encode-many", str(library), "--out", str(out), "--lambda", "256", "--json"]
    words += ["--model", str(weights), "--workers", "2", "--b-frames", "0"]
    assert main(words) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {one["file"] for one in said} == {str(out / "a.dvc"), str(out / "deep" / "b.dvc")}
    assert (
        kinds_of(out / "a.dvc") == "IP" and kinds_of(out / "deep" / "b.dvc") == "IPP"
    )  # --b-frames 0
    before = (out / "a.dvc").stat().st_mtime_ns

    (library / "c.mp4").write_text("no video")
    assert main(words) == DvcError.exit_code
    errors = capsys.readouterr().err
    assert "2 of 3 files are there, 1 to code" in errors
    assert f"{library / 'c.mp4'} failed:" in errors
    assert errors.splitlines()[-1].startswith("dvc-codec: 1 of 1 videos failed")
    assert (out / "a.dvc").stat().st_mtime_ns == before
    assert not (out / "c.dvc").exists()


def test_what_cannot_be_coded_is_said_before_anything_runs(library: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_video(library / "a.mkv", panned_texture(frames=1))
    assert main(["encode-many", str(library), "--out", str(out)]) == UsageError.exit_code
    missing = str(tmp_path / "no.mp4")
    assert main(["encode-many", missing, "--out", str(out)]) == FileMissing.exit_code
    assert not out.exists()
