"""The command, as users run it: in processes of its own."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dvc_codec.cli.demo import mean_psnr
from dvc_codec.cli.encode_many import words_for_encode
from dvc_codec.cli.main import command_line, main
from dvc_codec.cli.options import DEFAULT_B_FRAMES, MOST_B_FRAMES
from dvc_codec.codec.order import LIMIT_BETWEEN, MOST_BETWEEN
from dvc_codec.container import Reader
from dvc_codec.video import open_video
from tests.files import kinds_of, two_scenes, write_video
from tests.moving import moving_square, panned_texture

REPOSITORY = Path(__file__).resolve().parents[2]


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "dvc_codec.cli.main", *map(str, words)]


def run(*words: object, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **more}
    return subprocess.run(
        command(*words), capture_output=True, text=True, env=environment, cwd=REPOSITORY
    )


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Five frames of 64x48."""
    return write_video(tmp_path / "in.y4m", panned_texture(frames=5))


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    """Eight frames of 64x48 in groups of three, as a .dvc file."""
    folder = tmp_path_factory.mktemp("coded")
    source = write_video(folder / "in.y4m", panned_texture(frames=8))
    target = folder / "in.dvc"
    words = ("--gop", "3", "--model", str(weights), "--recon", str(folder / "recon.y4m"))
    assert main(["encode", str(source), str(target), *words, "--quiet"]) == 0
    return target


def test_the_final_line_and_the_json_say_what_is_in_the_file(
    tmp_path: Path, weights: Path, clip: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    target, table = tmp_path / "v.dvc", tmp_path / "v.csv"
    words = ["encode", str(clip), str(target), "--model", str(weights), "--lambda", "512"]
    words += ["--b-frames", "1"]
    assert main([*words, "--csv", str(table), "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    size = target.stat().st_size
    assert (said["frames"], said["gops"], said["bytes"]) == (5, 1, size)
    assert sum(said["bits"].values()) == 8 * size
    assert said["bits_per_pixel"] == pytest.approx(8 * size / (5 * 64 * 48))
    assert said["kbit_per_second"] == pytest.approx(8 * size / 0.2 / 1000)
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    assert kinds_of(target) == "IPBPB"
    assert "".join(row["kind"] for row in rows) == "IBPBP"  # as they are shown
    assert [int(row["frame"]) for row in rows] == [0, 1, 2, 3, 4]
    for part in ("intra", "motion", "residual"):
        assert sum(int(row[f"{part}_bits"]) for row in rows) == said["bits"][part]
    assert sum(float(row["psnr"]) for row in rows) / 5 == pytest.approx(said["psnr"], abs=1e-3)

    assert main(words) == 0
    line = capfd.readouterr().out
    assert line.count("\n") == 1
    assert f"5 frames in 1 GOPs, {size} bytes, {8 * size / (5 * 64 * 48):.4f} bits" in line
    assert all(part in line for part in ("(I 0.", "motion 0.", "residual 0.", "overhead 0."))


def test_the_psnr_is_the_decoded_files(tmp_path: Path, weights: Path, clip: Path) -> None:
    done = run("encode", clip, tmp_path / "v.dvc", "--model", weights, "--json")
    assert run("decode", tmp_path / "v.dvc", tmp_path / "v.y4m", "--model", weights).returncode == 0
    frames, psnr = mean_psnr(clip, tmp_path / "v.y4m")
    assert frames == 5
    assert psnr == pytest.approx(json.loads(done.stdout)["psnr"])


def test_parts_can_be_coded_and_decoded(
    tmp_path: Path, weights: Path, clip: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    target, out = str(tmp_path / "v.dvc"), str(tmp_path / "v.y4m")
    model = ["--model", str(weights), "--json"]
    assert main(["encode", str(clip), target, "--start", "0.04", "--frames", "3", *model]) == 0
    assert json.loads(capfd.readouterr().out)["frames"] == 3
    assert main(["decode", target, out, "--start", "0.08", "--frames", "5", *model]) == 0
    assert json.loads(capfd.readouterr().out)["frames"] == 1


def test_a_scene_cut_starts_a_gop(tmp_path: Path, weights: Path) -> None:
    source = write_video(tmp_path / "in.y4m", two_scenes(frames=6, at=3))
    words = ["encode", str(source), str(tmp_path / "v.dvc"), "--model", str(weights), "--quiet"]
    assert main(words) == 0
    assert kinds_of(tmp_path / "v.dvc") == "IPBIPB"
    assert main([*words, "--no-scene-cuts", "--b-frames", "0"]) == 0
    assert kinds_of(tmp_path / "v.dvc") == "IPPPPP"


def test_b_frames_are_as_many_as_the_codec_has(capsys: pytest.CaptureFixture[str]) -> None:
    """Said without importing torch, so said twice."""
    assert (DEFAULT_B_FRAMES, MOST_B_FRAMES) == (MOST_BETWEEN, LIMIT_BETWEEN)
    for number in ("-1", str(MOST_B_FRAMES + 1), "some", "1.5", ""):
        assert main(["encode", "in.y4m", "out.dvc", f"--b-frames={number}"]) == 2
        error = capsys.readouterr().err
        assert f"found {number}, expected a whole number from 0 to 7" in error
        assert len(error.splitlines()) == 1


def test_raw_video_needs_its_size(
    tmp_path: Path, weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    raw = write_video(tmp_path / "in.yuv", panned_texture(frames=3))
    words = ["encode", str(raw), str(tmp_path / "v.dvc"), "--model", str(weights), "--json"]
    assert main([*words, "--raw-size", "64x48", "--raw-rate", "30000/1001"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert (said["width"], said["height"], said["frames"]) == (64, 48, 3)
    assert said["frame_rate"] == "30000/1001"
    assert main(words) == 2


def test_info_reads_the_header_alone(coded: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(coded), "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    with Reader(coded) as reader:
        assert said["model_sha256"] == reader.header.model_hash.hex()
    assert (said["width"], said["height"], said["frames"], said["gops"]) == (64, 48, 8, 3)
    assert (said["lambda"], said["longest_gop"], said["complete"]) == (1024, 3, True)
    assert main(["info", str(coded)]) == 0
    assert "64x48, 8 frames in 3 GOPs" in capfd.readouterr().out


def test_info_and_help_do_without_torch(coded: Path) -> None:
    program = (
        "import sys; from dvc_codec.cli.main import main; "
        f"main(['info', {str(coded)!r}]); assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY).returncode == 0


def test_pictures_that_were_converted_are_a_note(tmp_path: Path, weights: Path, clip: Path) -> None:
    import av

    source = tmp_path / "rgb.mkv"
    with av.open(str(clip)) as opened, av.open(str(source), "w") as made:
        stream = made.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p"
        for frame in opened.decode(video=0):
            made.mux(stream.encode(frame.reformat(format="yuv444p")))
        made.mux(stream.encode(None))
    done = run("encode", source, tmp_path / "v.dvc", "--model", weights)
    assert done.returncode == 10
    assert "--convert" in done.stderr
    done = run("encode", source, tmp_path / "v.dvc", "--model", weights, "--convert")
    assert done.returncode == 0
    assert "yuv444p was converted" in done.stderr


def test_without_fast_bfloat16_it_says_so_once(tmp_path: Path, weights: Path, clip: Path) -> None:
    done = run("encode", clip, tmp_path / "v.dvc", "--model", weights, ONEDNN_MAX_CPU_ISA="AVX2")
    assert done.returncode == 0
    assert done.stderr.count("float32") == done.stderr.count("\n") == 1


def test_a_decode_to_standard_output_is_the_same_y4m(
    coded: Path, weights: Path, tmp_path: Path
) -> None:
    with (tmp_path / "out.y4m").open("wb") as out:
        words = command("decode", coded, "-", "--model", weights)
        done = subprocess.run(words, stdout=out, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY)
    assert done.returncode == 0
    assert "8 frames, bit-exact" in done.stderr
    assert (tmp_path / "out.y4m").read_bytes() == (coded.parent / "recon.y4m").read_bytes()


def test_a_reader_that_leaves_is_told_nothing(coded: Path, weights: Path) -> None:
    words = command("decode", coded, "-", "--model", weights)
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=REPOSITORY
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_leave_nothing(
    tmp_path: Path, weights: Path, number: int, code: int
) -> None:
    source = write_video(tmp_path / "in.y4m", 500 * moving_square(frames=1))
    words = ["encode", source, tmp_path / "v.dvc", "--model", weights, "--gop", "1"]
    others = ["--recon", tmp_path / "r.y4m", "--csv", tmp_path / "t.csv"]
    with subprocess.Popen(
        command(*words, *others), stderr=subprocess.PIPE, cwd=REPOSITORY
    ) as process:
        assert process.stderr is not None
        while not (tmp_path / "r.y4m.part").exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(number)
        lines = process.stderr.read().splitlines()
        assert process.wait() == code
    assert len(lines) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in.y4m"]


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
@pytest.mark.parametrize("later", [0.0, 3.0], ids=["while coding", "while waiting"])
def test_sigterm_ends_a_wait_for_standard_input(
    tmp_path: Path, weights: Path, clip: Path, later: float
) -> None:
    words = command("encode", "-", tmp_path / "v.dvc", "--model", weights)
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=REPOSITORY
    ) as process:
        assert process.stdin is not None and process.stderr is not None
        process.stdin.write(clip.read_bytes())
        process.stdin.flush()  # and nothing more comes, but no end either
        while not (tmp_path / "v.dvc.part").exists() and process.poll() is None:
            time.sleep(0.05)
        time.sleep(later)
        process.terminate()
        assert process.wait(timeout=20) == 143
        assert process.stderr.read().count(b"\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in.y4m"]


@pytest.mark.parametrize("door", ["encode.py", "decode.py"])
def test_short_doors_lead_to_the_same_place(door: str) -> None:
    done = subprocess.run(
        [sys.executable, door, "--help"], capture_output=True, text=True, cwd=REPOSITORY
    )
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: dvc-codec {door.removesuffix('.py')}")


def test_the_demo_runs(tmp_path: Path, weights: Path, clip: Path) -> None:
    words = ["--folder", tmp_path / "demo", "--model", weights, "--source", clip]
    done = subprocess.run(
        [sys.executable, "-m", "dvc_codec.cli.demo", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
    )
    assert done.returncode == 0, done.stderr
    assert "64x48, 5 frames, decoded bit-exact" in done.stdout
    assert {path.name for path in (tmp_path / "demo").iterdir()} == {"in.dvc", "in.y4m"}


def test_the_sample_is_what_the_demo_needs() -> None:
    from dvc_codec.cli.demo import sample

    with open_video(sample(), frames=1) as reader:
        assert (reader.info.width, reader.info.height) == (480, 270)
        assert reader.info.frame_count == 60
    assert sample().stat().st_size < 1_500_000


@pytest.mark.parametrize("verb", ["encode", "transcode", "decode", "verify", "inspect"])
def test_no_gpu_is_one_line_and_a_code(
    verb: str, coded: Path, clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = clip if verb in ("encode", "transcode") else coded
    target = [] if verb == "verify" else [str(tmp_path / "out.mkv")]
    assert main([verb, str(source), *target, "--device", "cuda"]) == 12
    error = capfd.readouterr().err
    assert error.startswith("dvc-codec: --device cuda: ")
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("out*"))


def test_auto_is_the_processor(tmp_path: Path, weights: Path, clip: Path) -> None:
    for device in ("auto", "cpu"):
        words = ["encode", str(clip), str(tmp_path / device), "--model", str(weights), "--quiet"]
        assert main([*words, "--device", device]) == 0
    assert (tmp_path / "auto").read_bytes() == (tmp_path / "cpu").read_bytes()


@pytest.mark.parametrize(
    "name", ["encode", "decode", "transcode", "info", "verify", "inspect", "encode-many"]
)
def test_help_has_examples(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert f"examples:\n  dvc-codec {name} " in capfd.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--lambda", "256.5", "--gop", "12", "--b-frames", "0", "--intra", "av1"],
        ["--target-bitrate", "1.5M", "--preset", "fast", "--convert", "--no-scene-cuts"],
        ["--target-size", "25M", "--model", "other.safetensors"],
        ["--quality", "40", "--no-audio", "--no-temporal-filter"],
    ],
)
def test_each_of_many_is_coded_as_encode_is_told(words: list[str]) -> None:
    many = command_line().parse_args(["encode-many", "in", "--out", "out", *words])
    told = command_line().parse_args(["encode", "in", "out", *words_for_encode(many)])
    assert vars(told) == vars(command_line().parse_args(["encode", "in", "out", *words]))
