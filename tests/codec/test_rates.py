"""Rate control meets what was asked for."""

import random
from pathlib import Path

import pytest

from dvc_codec.cli.main import main
from dvc_codec.codec.encoder import encode_file
from dvc_codec.codec.model import Model, load_model
from dvc_codec.codec.rate_search import Part, bits_for_size, for_bits, for_psnr
from dvc_codec.codec.rates import SLOPE, PlannedRate, RunningRate, first_guess
from dvc_codec.errors import OutOfRange
from dvc_codec.networks.rate import lambda_at
from dvc_codec.video import VideoInfo
from tests.codec.test_sound import film
from tests.files import write_video
from tests.moving import panned_texture


@pytest.fixture(scope="module")
def model(weights: Path) -> Model:
    return load_model(weights)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Sixty frames of 128x96 in groups of twenty."""
    pictures = panned_texture(size=(128, 96), frames=60, shift=(2.3, 0.7))
    return write_video(tmp_path / "in.y4m", pictures)


@pytest.mark.parametrize("factor", [0.4, 0.8, 1.0, 1.7, 3.0])
@pytest.mark.parametrize("slope", [0.8 * SLOPE, 1.3 * SLOPE])
def test_a_plan_spends_its_budget_though_frames_cost_something_else(
    factor: float, slope: float
) -> None:
    rng = random.Random(1)
    first = [(40_000 if n % 32 == 0 else 4_000) + rng.randrange(2000) for n in range(96)]
    budget = factor * sum(first)
    plan = PlannedRate(first, 30, budget)
    spent = 0
    for number, before in enumerate(first):
        index = plan.next_index(number % 32 == 0)
        bits = round(before * 2 ** (slope * (index - 30)) * rng.uniform(0.8, 1.25))
        plan.spent(bits)
        spent += bits + 60
    assert spent == pytest.approx(budget, rel=0.03)


def spent_in_one_pass(frames: int, first: int, gop: int, wanted: int = 8000) -> list[int]:
    """Bits of frames, of which ``wanted`` each are wanted; ``first`` is the guess to start from."""
    rng = random.Random(2)
    control = RunningRate(wanted, first, gop, 50)
    spent = []
    for number in range(frames):
        intra = number % gop == 0
        index = control.next_index(intra)
        bits = (40_000 if intra else 6_000) * 2 ** (SLOPE * (index - 30)) * rng.uniform(0.8, 1.25)
        control.spent(round(bits))
        spent.append(round(bits) + 60)
    return spent


@pytest.mark.parametrize("gop", [4, 12, 32, 250])
def test_one_pass_settles_on_its_rate(gop: int) -> None:
    spent = spent_in_one_pass(600, 50, gop)
    assert sum(spent) / 600 == pytest.approx(8000, rel=0.02)
    assert sum(spent[300:]) / 300 == pytest.approx(8000, rel=0.05)


@pytest.mark.parametrize("first", [15, 30, 45])
def test_one_pass_is_near_its_rate_after_two_groups(first: int) -> None:
    spent = spent_in_one_pass(64, first, 32)
    assert sum(spent) / 64 == pytest.approx(8000, rel=0.05)


def test_one_pass_of_i_frames_alone() -> None:
    spent = spent_in_one_pass(100, 45, 1, wanted=30_000)
    assert sum(spent) / 100 == pytest.approx(30_000, rel=0.05)


def test_a_rate_out_of_reach_is_missed_without_noise() -> None:
    for wanted, end in ((1, 0), (10**9, 63)):
        control = RunningRate(wanted, 30, 32, 50)
        for number in range(100):
            control.next_index(number % 32 == 0)
            control.spent(5000)
        assert control.next_index(False) == end


def test_the_first_guess_rises_with_the_rate() -> None:
    guesses = [first_guess(bits) for bits in (0.0, 0.01, 0.05, 0.1, 0.3, 5.0)]
    assert guesses == sorted(guesses)
    assert guesses[0] >= 0 and guesses[-1] <= 63


@pytest.mark.parametrize("factor", [0.6, 1.5])
def test_a_file_has_the_size_that_was_asked_for(
    tmp_path: Path, model: Model, clip: Path, factor: float
) -> None:
    # six groups: of three, one P frame that costs three times what was foretold is 8 % of the file
    part = Part(clip, gop=10)
    plain = encode_file(clip, tmp_path / "plain.dvc", lagrangian=512, gop=10, model=model)
    wanted = round(factor * plain.file_bytes)
    rates, _ = for_bits(part, model, bits_for_size(wanted, part, sound=True))
    made = encode_file(clip, tmp_path / "v.dvc", gop=10, rates=lambda _: rates, model=model)
    assert made.file_bytes == pytest.approx(wanted, rel=0.05)


def test_sound_counts_for_the_size(tmp_path: Path, model: Model) -> None:
    source = film(tmp_path / "in.mkv")
    part = Part(source)
    with pytest.raises(OutOfRange, match="--no-audio"):
        bits_for_size(9000, part, sound=True)
    rates, _ = for_bits(part, model, bits_for_size(60_000, part, sound=True))
    made = encode_file(source, tmp_path / "v.dvc", rates=lambda _: rates, model=model)
    assert made.file_bytes < 60_000 * 1.03


def test_a_wished_psnr_is_met(tmp_path: Path, model: Model, clip: Path) -> None:
    low, high = (
        encode_file(clip, tmp_path / "p.dvc", lagrangian=lambda_at(i), gop=20, model=model).psnr
        for i in (10, 50)
    )
    wanted = (low + high) / 2
    rates, _ = for_psnr(Part(clip, gop=20), model, wanted)
    made = encode_file(clip, tmp_path / "v.dvc", gop=20, rates=lambda _: rates, model=model)
    assert made.psnr == pytest.approx(wanted, abs=0.35)


def test_quality_is_a_ladder_of_lambda(
    tmp_path: Path, weights: Path, clip: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sizes = []
    for quality in ("0", "50", "100"):
        words = ["encode", str(clip), str(tmp_path / "v.dvc"), "--quality", quality, "--frames"]
        assert main([*words, "3", "--model", str(weights), "--quiet"]) == 0
        sizes.append((tmp_path / "v.dvc").stat().st_size)
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--quality", "101"], 8),
        (["--target-psnr", "5"], 8),
        (["--target-size", "1"], 8),
        (["--target-bitrate", "fast"], 2),
        (["--quality", "5", "--lambda", "64"], 2),
        (["--end", "0.0"], 2),
    ],
)
def test_wishes_that_make_no_sense(
    tmp_path: Path, weights: Path, clip: Path, words: list[str], code: int
) -> None:
    source = film(tmp_path / "in.mkv", frames=2)
    encode = ["encode", str(source), str(tmp_path / "v.dvc"), "--model", str(weights)]
    assert main([*encode, *words]) == code
    assert not list(tmp_path.glob("v.dvc*"))


@pytest.mark.parametrize(
    ("words", "end"),
    [(["--target-bitrate", "9M"], "highest"), (["--target-psnr", "10"], "lowest")],
)
def test_a_target_out_of_reach_is_said(
    tmp_path: Path, weights: Path, capfd: pytest.CaptureFixture[str], words: list[str], end: str
) -> None:
    source = write_video(tmp_path / "in.y4m", panned_texture(frames=2))
    encode = ["encode", str(source), str(tmp_path / "v.dvc"), "--model", str(weights)]
    assert main([*encode, *words]) == 0
    assert f"the target is at the {end} quality there is" in capfd.readouterr().err
    assert main([*encode, "--lambda", "64"]) == 0
    assert "target" not in capfd.readouterr().err


def test_a_rate_control_is_made_for_the_video(tmp_path: Path, model: Model, clip: Path) -> None:
    seen: list[VideoInfo] = []

    def make(info: VideoInfo) -> RunningRate:
        seen.append(info)
        return RunningRate(3000, 20, 20, 25)

    made = encode_file(clip, tmp_path / "v.dvc", gop=20, rates=make, model=model)
    assert (seen[0].width, seen[0].height) == (128, 96)
    assert 8 * made.file_bytes / 60 == pytest.approx(3000, rel=0.1)


@pytest.mark.parametrize(
    ("start", "wanted", "frames"), [(0.0, 8, 8), (28 / 25, None, 12)], ids=["frames", "start"]
)
def test_a_trial_for_quality_takes_its_groups_from_the_part_that_is_coded(
    tmp_path: Path, model: Model, start: float, wanted: int | None, frames: int
) -> None:
    """Ten groups in the file would be tried one in two; of the two or three asked for, all are."""
    clip = write_video(tmp_path / "long.mkv", panned_texture(size=(64, 48), frames=40))
    part = Part(clip, gop=4, start=start, frames=wanted, intra="hevc")
    seen: list[tuple[int, int | None]] = []
    _, trial = for_psnr(part, model, 38.0, lambda *told: seen.append(told))
    assert len(trial.psnr) == frames
    assert seen[-1] == (frames, frames)


@pytest.mark.parametrize(("start", "words"), [(0, ""), (28 / 25, ""), (0, "--frames 8")])
def test_the_first_rate_for_a_size_is_guessed_from_the_part_that_is_coded(
    tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch, start: float, words: str
) -> None:
    from dvc_codec.codec import rate_search

    clip = write_video(tmp_path / "long.mkv", panned_texture(size=(64, 48), frames=40))
    asked: list[float] = []
    guess = rate_search.guess_for_bit_rate
    monkeypatch.setattr(
        rate_search,
        "guess_for_bit_rate",
        lambda rate, info: asked.append(rate) or guess(rate, info),
    )
    command = f"encode {clip} {tmp_path / 'v.dvc'} --target-size 1800 --start {start} {words}"
    assert main([*command.split(), "--intra", "hevc", "--gop", "4"]) == 0
    frames = 8 if words else 12 if start else 40
    assert asked == [pytest.approx(8 * 1800 / (frames / 25))]
