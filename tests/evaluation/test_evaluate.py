"""The whole of it, on a generated video and through real files."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dvc_codec.cli.main import main
from dvc_codec.errors import DvcError, OutOfRange, UsageError
from dvc_codec.evaluation.engine import run_tasks
from dvc_codec.evaluation.measures import measure_named
from dvc_codec.evaluation.metrics import compare_files
from dvc_codec.evaluation.results import Conditions, Results
from dvc_codec.evaluation.sequences import Sequence
from dvc_codec.evaluation.tables import against_anchors, by_measure, compared, points_table
from dvc_codec.evaluation.task import OURS, Measured, Task, run_task
from tests.files import write_video
from tests.moving import panned_texture

REPOSITORY = Path(__file__).resolve().parents[2]
CONDITIONS = Conditions("/data", 32, None, "dvc-1", "ab" * 32)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one video of three frames, 64x48."""
    folder = tmp_path_factory.mktemp("videos")
    write_video(folder / "pan.y4m", panned_texture(frames=3))
    return folder


def point(codec: str, rate: float, psnr: float, sequence: str = "pan") -> Measured:
    """What a task of 100x80 and 10 frames might give."""
    return Measured(
        sequence=sequence,
        codec=codec,
        point=psnr,
        width=100,
        height=80,
        frames=10,
        file_bytes=round(rate * 10000),
        bits_per_pixel=rate,
        y=psnr,
        u=psnr,
        v=psnr,
        psnr=psnr,
        distortion=0.001,
        frame_psnr=((psnr, psnr, psnr),) * 10,
        encode_seconds=1.0,
        decode_seconds=1.0,
        encode_fps=10.0,
        decode_fps=10.0,
        encode_memory=None,
        decode_memory=None,
        commands=("encode", "decode"),
        source="pan.y4m",
        pictures_sha256="cd" * 32,
        coded="coded/pan",
    )


def results(path: Path, *points: Measured) -> Results:
    """As if one run had measured ``points``."""
    made = Results(path, CONDITIONS, runs=[{"commit": "0" * 40, "machine": {"processor": "p"}}])
    for one in points:
        made.add(one)
    return made


def line(codec: str, factor: float = 1.0, sequence: str = "pan") -> list[Measured]:
    """A curve of four points, its rates multiplied by ``factor``."""
    return [point(codec, factor * 0.1 * 2**i, 32 + 2.5 * i, sequence) for i in range(4)]


def evaluate(videos: Path, out: Path, weights: Path, *words: str) -> None:
    """Two points of ours and six of x264, two frames."""
    common = ["--frames", "2", "--model", str(weights), "--anchors", "x264-veryfast"]
    command = ["evaluate", "--data", str(videos), "--out", str(out), "--lambdas", "256,2048"]
    assert main([*command, *common, "--workers", "2", "--no-report", *words]) == 0


def test_two_frames_through_everything_and_not_twice(
    videos: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(videos, tmp_path, weights)
    table = capsys.readouterr().out
    said: dict[str, Any] = json.loads((tmp_path / "results.json").read_text())
    assert [run["arguments"] is not None for run in said["runs"]] == [True]
    assert len(said["points"]) == 2 + 6
    for found in said["points"]:
        size = (tmp_path / found["coded"]).stat().st_size
        assert found["file_bytes"] == size
        assert found["bits_per_pixel"] == pytest.approx(8 * size / (2 * 64 * 48))
        assert f"| {size}" in table.replace("|  ", "| ").replace("|  ", "| ")
    ours = sorted((p for p in said["points"] if p["codec"] == OURS), key=lambda p: p["point"])
    assert [p["point"] for p in ours] == [256, 2048]
    assert ours[0]["psnr"] < ours[1]["psnr"]
    assert ours[0]["file_bytes"] < ours[1]["file_bytes"]
    assert said["conditions"]["model_sha256"] == ours[0]["details"]["model_sha256"]
    assert all(p["details"]["bit_exact"] for p in ours)
    for found in said["points"]:
        assert found["rgb"] > 15 and 0 < found["ssim"] <= 1
        assert found["ms_ssim"] is found["vmaf"] is None  # too small; not asked for
        assert len(found["frame_bits"]) == 2
    for found in ours:
        bits = found["details"]["bits"]
        summed = {part: sum(frame.get(part, 0) for frame in found["frame_bits"]) for part in bits}
        assert summed | {"overhead": bits["overhead"]} == bits
    assert "dvc_codec.cli.main encode source.y4m coded.dvc --lambda 256" in ours[0]["commands"][0]
    assert not (tmp_path / ".work").exists()
    assert (tmp_path / "table.md").read_text() == table

    before = (tmp_path / "results.json").read_bytes()
    evaluate(videos, tmp_path, weights)
    again = capsys.readouterr()
    assert "8 of 8 points are there, 0 to measure" in again.err
    assert again.out == table
    assert (tmp_path / "results.json").read_bytes() == before

    command = ["evaluate", "--data", str(videos), "--out", str(tmp_path), "--frames", "3"]
    assert main([*command, "--model", str(weights)]) == UsageError.exit_code
    assert "frames 2, not 3: give another --out" in capsys.readouterr().err


def test_the_measured_quality_is_that_of_the_coded_file(
    videos: Path, weights: Path, tmp_path: Path
) -> None:
    task = Task(Sequence("pan", videos / "pan.y4m", 2), OURS, 512, 32, weights)
    assert Task.from_json(task.to_json()) == task
    measured = run_task(task, tmp_path)
    decoded = tmp_path / "decoded.y4m"
    coded = str(tmp_path / measured.coded)
    assert main(["decode", coded, str(decoded), "--model", str(weights), "--quiet"]) == 0
    quality = compare_files(videos / "pan.y4m", decoded, frames=2)
    assert measured.psnr == quality.weighted_psnr
    assert measured.distortion == quality.distortion
    assert sum(measured.details["bits"].values()) == 8 * measured.file_bytes


def test_a_task_that_fails_says_why_and_the_others_go_on(videos: Path, tmp_path: Path) -> None:
    good = Task(Sequence("pan", videos / "pan.y4m", 2), "x264-veryfast", 33, 32)
    bad = [
        replace(good, sequence=Sequence("no", videos / "no.mp4")),
        replace(good, codec="svtav1-6", point=99),
    ]
    measured: list[str] = []
    reasons: dict[str, str] = {}
    run_tasks(
        [*bad, good],
        tmp_path,
        workers=2,
        done=lambda task, _: measured.append(task.label),
        failed=lambda task, reason: reasons.update({task.label: reason}),
    )
    assert measured == [good.label]
    assert "no.mp4" in reasons[bad[0].label]
    assert "exit code" in reasons[bad[1].label]
    assert "libsvtav1" in reasons[bad[1].label]


def test_a_task_whose_process_is_killed_runs_again(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    class FirstIsKilled(subprocess.Popen[str]):
        def __init__(self, *args: Any, **more: Any) -> None:
            super().__init__(*args, **more)
            started.append(self)
            if len(started) == 1:
                self.kill()

    monkeypatch.setattr(subprocess, "Popen", FirstIsKilled)
    task = Task(Sequence("pan", videos / "pan.y4m", 2), "x264-veryfast", 33, 32)
    measured: list[Measured] = []
    reasons: list[str] = []
    run_tasks(
        [task],
        tmp_path,
        done=lambda _, point: measured.append(point),
        failed=lambda _, reason: reasons.append(reason),
    )
    assert (len(started), len(measured), reasons) == (2, 1, [])
    assert (tmp_path / measured[0].coded).stat().st_size == measured[0].file_bytes


def test_what_ends_the_engine_early_leaves_no_work_behind(videos: Path, tmp_path: Path) -> None:
    task = Task(Sequence("pan", videos / "pan.y4m", 2), "x264-veryfast", 33, 32)

    def interrupt(task: Task, measured: Measured) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tasks = [replace(task, point=crf) for crf in range(20, 30)]
        run_tasks(tasks, tmp_path, workers=1, done=interrupt, failed=lambda t, r: None)
    assert not (tmp_path / ".work").exists()
    assert len(list((tmp_path / "coded").iterdir())) < 10


def test_results_read_back_are_the_same(tmp_path: Path) -> None:
    made = results(tmp_path / "r.json", *line(OURS))
    there = Results.open(tmp_path / "r.json", CONDITIONS)
    assert there.curve("pan", OURS) == made.curve("pan", OURS)
    assert (there.runs, there.run_of) == (made.runs, made.run_of)
    there.save()
    assert Results.load(tmp_path / "r.json").points == there.points


@pytest.mark.parametrize("change", [{"gop": 12}, {"frames": 3}, {"model_sha256": "0"}])
def test_points_of_other_conditions_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    results(tmp_path / "r.json", *line(OURS))
    with pytest.raises(UsageError, match="give another --out"):
        Results.open(tmp_path / "r.json", replace(CONDITIONS, **change))


def test_a_file_that_is_no_result_is_refused(tmp_path: Path) -> None:
    for text in ("{", "[]", '{"format": 1}', '{"format": 99}'):
        (tmp_path / "r.json").write_text(text)
        with pytest.raises(UsageError, match=r"r\.json"):
            Results.load(tmp_path / "r.json")


def test_the_table_has_the_known_shift_and_a_reason_where_there_is_none(tmp_path: Path) -> None:
    curves = [
        *line("x264-veryfast"),
        *line(OURS, 0.8),
        *line("x264-veryfast", sequence="few"),
        *line(OURS, sequence="few")[:2],
    ]
    table = against_anchors(results(tmp_path / "r.json", *curves), ["x264-veryfast"])
    assert "| pan" in table and "-20.0 %" in table and "100%" in table
    assert "| mean of 2" in table and "-20.0 % (of 1)" in table
    assert "- few, x264-veryfast, BD-rate: the test has 2 points" in table


def test_classes_have_means_of_their_own(tmp_path: Path) -> None:
    curves = [
        replace(p, group=group)
        for name, group, factor in (
            ("a", "HEVC B", 0.8),
            ("b", "HEVC C", 1.2),
            ("c", "HEVC C", 1.1),
        )
        for p in (*line("x264-veryfast", sequence=name), *line(OURS, factor, name))
    ]
    made = results(tmp_path / "r.json", *curves)
    rows = [
        [cell.strip() for cell in row.split("|")[1:3]]
        for row in against_anchors(made, ["x264-veryfast"]).splitlines()[2:]
    ]
    assert rows == [
        ["a", "-20.0 %"],
        ["b", "+20.0 %"],
        ["c", "+10.0 %"],
        ["HEVC B, mean", "-20.0 %"],
        ["HEVC C, mean", "+15.0 %"],
        ["mean of 3", "+3.3 %"],
    ]


def test_every_measured_quality_has_its_bd_rate(tmp_path: Path) -> None:
    anchor = [replace(p, ms_ssim=1 - 10 ** (-p.psnr / 20)) for p in line("x264-veryfast")]
    ours = [replace(p, ms_ssim=1 - 10 ** (-p.psnr / 20)) for p in line(OURS, 0.5)]
    table = by_measure(results(tmp_path / "r.json", *anchor, *ours), ["x264-veryfast"])
    assert "| MS-SSIM of Y" in table and table.count("-50.0 %") == 3
    assert "VMAF" not in table and "RGB" not in table


def test_curves_may_be_of_another_measure_than_psnr(tmp_path: Path) -> None:
    """At the same bits PSNR is the same, and MS-SSIM that of twice the bits."""
    points = line("x264-veryfast")
    anchor = [replace(p, ms_ssim=1 - 0.1 / p.bits_per_pixel) for p in points]
    ours = [replace(p, codec=OURS, ms_ssim=1 - 0.05 / p.bits_per_pixel) for p in points]
    made = results(tmp_path / "r.json", *anchor, *ours)
    measure = measure_named("ms-ssim")
    assert "-50.0 %" in against_anchors(made, ["x264-veryfast"], measure)
    assert "-50.0 %" not in against_anchors(made, ["x264-veryfast"])
    row = points_table(made, [OURS], measure).splitlines()[2]
    assert f"{-10 * math.log10(0.05 / points[0].bits_per_pixel):.2f}" in row
    with pytest.raises(OutOfRange, match="vif"):
        measure_named("vif")


def test_two_of_our_versions_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = results(tmp_path / "a.json", *line(OURS))
    after = results(tmp_path / "b.json", *line(OURS, 0.9))
    assert "-10.0 %" in compared(before, after)
    words = [str(tmp_path / "a.json"), str(tmp_path / "b.json")]
    assert main(["evaluate", "--compare", *words]) == 0
    assert "-10.0 %" in capsys.readouterr().out
    after.conditions = replace(CONDITIONS, gop=12)
    after.save()
    assert main(["evaluate", "--compare", *words]) == UsageError.exit_code
    assert "not comparable" in capsys.readouterr().err
    after.conditions = CONDITIONS
    after.points = [replace(p, pictures_sha256="0") for p in after.points]
    after.save()
    assert main(["evaluate", "--compare", *words]) == UsageError.exit_code
    assert "pan has other pictures" in capsys.readouterr().err


def test_the_short_door_is_the_command() -> None:
    command = [sys.executable, str(REPOSITORY / "evaluate.py")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == UsageError.exit_code
    assert done.stderr == "dvc-codec: evaluate: give --data and --out, or --compare, or --report\n"


def test_an_anchor_that_is_none_is_an_error_before_anything_runs(
    videos: Path, tmp_path: Path
) -> None:
    words = ["evaluate", "--data", str(videos), "--out", str(tmp_path / "o"), "--anchors", "x266"]
    assert main(words) == UsageError.exit_code
    assert not (tmp_path / "o").exists()
    assert issubclass(UsageError, DvcError)


def test_anchors_of_another_run_are_taken_over_with_their_provenance(tmp_path: Path) -> None:
    old = Results(tmp_path / "old" / "results.json", CONDITIONS)
    old.runs.append({"machine": "another"})
    old.add(point("dvc-codec", 0.1, 30.0))
    old.add(point("x265-veryfast", 0.1, 31.0))
    old.add(point("x265-veryfast", 0.2, 33.0))
    coded = old.path.parent / old.points[1].coded
    coded.parent.mkdir(parents=True, exist_ok=True)
    coded.write_bytes(b"coded")
    new = Results(tmp_path / "new" / "results.json", replace(CONDITIONS, model="dvc-9"))
    new.runs.append({"machine": "this"})
    new.add(point("x265-veryfast", 0.25, 33.0))

    assert new.take_anchors(Results.load(old.path)) == 1
    again = Results.load(new.path)
    assert [p.psnr for p in again.of("pan", "x265-veryfast")] == [31.0, 33.0]
    assert not again.of("pan", "dvc-codec")
    assert [again.runs[run]["machine"] for run in again.run_of] == ["this", "another"]
    assert (new.path.parent / old.points[1].coded).read_bytes() == b"coded"

    other = Results(tmp_path / "other.json", replace(CONDITIONS, gop=12))
    with pytest.raises(UsageError, match="gop 32, expected 12"):
        other.take_anchors(old)
