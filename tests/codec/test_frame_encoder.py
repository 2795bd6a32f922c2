"""What the encoder tries in several ways: steps of motion, wider or narrower; residuals, twice."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from dvc_codec.cli.encode import PRESETS
from dvc_codec.cli.main import main
from dvc_codec.codec.decoder import decode_file
from dvc_codec.codec.encoder import encode_file
from dvc_codec.codec.model import Model, load_model, save_model
from dvc_codec.codec.p_frame import Choice, PFrameCodec
from dvc_codec.codec.registry import build
from dvc_codec.container import FrameKind
from dvc_codec.entropy.mixing import WIDTHS
from dvc_codec.training.statistics import code
from tests.files import write_video
from tests.moving import panned_texture
from tests.training.clips import moving_clips


def untrained() -> PFrameCodec:
    torch.manual_seed(1)
    codec = build("dvc", {}).eval()
    codec.bake()
    return codec


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    path = tmp_path_factory.mktemp("model") / "untrained.safetensors"
    save_model(untrained(), path, "untrained")
    return load_model(path)


def wider(one: Choice, other: Choice) -> bool:
    return one.width > other.width


def narrower(one: Choice, other: Choice) -> bool:
    return one.width < other.width


def near_one(one: Choice, other: Choice) -> bool:
    return abs(one.width - 1) < abs(other.width - 1)


@pytest.mark.parametrize(
    ("better", "widths"), [(wider, WIDTHS), (narrower, -WIDTHS), (near_one, 1), (None, 0)]
)
def test_the_first_p_frame_goes_as_far_as_is_better_and_others_follow(
    better: Callable[[Choice, Choice], bool] | None, widths: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Choice, "better", better or (lambda *choices: False))
    (clip,) = code(untrained(), moving_clips(1, 9, size=(96, 80)))
    assert {frame.kind for frame in clip.frames} == {FrameKind.P, FrameKind.B}
    assert [frame.width for frame in clip.frames] == [widths] * 8


def test_the_second_p_frame_may_go_back_and_no_other_tries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[int] = []

    def better(one: Choice, other: Choice) -> bool:
        tried.append(one.width)
        return tried in ([1], [1, 2, 2, 0])

    monkeypatch.setattr(Choice, "better", better)
    (clip,) = code(untrained(), moving_clips(1, 17, size=(96, 80)))
    assert tried == [1, 2, 2, 0, -1]
    of_p = [frame.width for frame in clip.frames if frame.kind is FrameKind.P]
    assert of_p == [1, 0, 0, 0, 0]


@pytest.mark.parametrize("better", [wider, narrower])
def test_files_of_other_widths_are_decoded_as_the_encoder_saw_them(
    better: Callable[[Choice, Choice], bool],
    model: Model,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual, other, recon = (tmp_path / name for name in ("usual.dvc", "other.dvc", "recon.y4m"))
    shown = panned_texture(size=(96, 80), frames=9, shift=(-1.3, 0.6), seed=9)
    source = write_video(tmp_path / "in.y4m", shown)
    encode = partial(encode_file, source, lagrangian=512.0, gop=5, intra="hevc", model=model)
    monkeypatch.setattr(Choice, "better", lambda *choices: False)
    encode(usual)
    monkeypatch.setattr(Choice, "better", better)
    encode(other, recon=recon)
    assert other.read_bytes() != usual.read_bytes()
    decoded = tmp_path / "out.y4m"
    assert decode_file(other, decoded, model=model).differing == 0
    assert decoded.read_bytes() == recon.read_bytes()


def test_the_fast_preset_looks_at_residuals_once(tmp_path: Path) -> None:
    """With the shipped weights: other bytes, and either file is what its encoder saw."""
    once, twice, recon, out = (tmp_path / name for name in ("1.dvc", "2.dvc", "r.y4m", "o.y4m"))
    assert PRESETS["medium"].twice and PRESETS["slow"].twice and not PRESETS["fast"].twice
    shown = panned_texture(size=(96, 80), frames=5, shift=(-1.3, 0.6), seed=9)
    source = write_video(tmp_path / "in.y4m", shown)
    common = ["--lambda", "1024", "--recon", str(recon), "--quiet", "--intra", "hevc"]
    for target, preset in ((once, "fast"), (twice, "medium")):
        assert main(["encode", str(source), str(target), "--preset", preset, *common]) == 0
        assert decode_file(target, out).differing == 0
        assert out.read_bytes() == recon.read_bytes()
    assert once.read_bytes() != twice.read_bytes()
