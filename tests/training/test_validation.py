"""Validation codes what the encoder would."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dvc_codec.codec.encoder import encode_file
from dvc_codec.codec.model import Model
from dvc_codec.codec.registry import build
from dvc_codec.container import group_order
from dvc_codec.networks.rate import ENCODER_TRADE, lambda_at
from dvc_codec.training import validation
from dvc_codec.training.validation import Case, measure_bytes, measure_loss, order_of
from tests.files import write_video
from tests.moving import panned_texture
from tests.training.clips import planar

RATE = 42
FRAMES = 5


@pytest.fixture
def clip() -> Tensor:
    """Pictures, which the encoder codes with B frames."""
    return planar(panned_texture(size=(64, 64), frames=FRAMES, seed=3))


def test_the_order_is_the_encoder_s(clip: Tensor) -> None:
    places = order_of(clip)
    assert sorted(place.number for place in places) == list(range(FRAMES))
    assert any(place.future is not None for place in places)
    assert order_of(clip, between=0) == tuple(group_order(FRAMES, 1))
    assert max(p.number - p.past for p in order_of(clip, between=1) if p.past is not None) == 2


def test_without_the_video_library_the_order_is_fixed(
    clip: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "present", lambda package: False)
    assert order_of(clip) == tuple(group_order(FRAMES, validation.UNPLANNED))
    assert order_of(clip, between=0) == tuple(group_order(FRAMES, 1))


def test_bytes_are_those_of_a_file(clip: Tensor, tmp_path: Path) -> None:
    """I, P and B frames, at the rates that the encoder gives them; validation filters none."""
    torch.manual_seed(1)
    codec = build("dvc", {})
    found = measure_bytes(codec, Case(clip, RATE, order_of(clip)))
    video = tmp_path / "a.mkv"
    write_video(video, panned_texture(size=(64, 64), frames=FRAMES, seed=3))
    codec.bake()
    codec.trade = ENCODER_TRADE
    summary = encode_file(
        video,
        tmp_path / "a.dvc",
        lagrangian=lambda_at(RATE),
        gop=FRAMES,
        intra="hevc",
        temporal_filter=False,
        model=Model("validation", bytes(32), codec.eval()),
    )
    payload = sum(bits for part, bits in summary.bits.items() if part != "overhead")
    assert found["bytes_bits_per_pixel"] == pytest.approx(payload / summary.pixels)


def test_the_loss_is_of_p_and_b_frames_in_display_order(clip: Tensor) -> None:
    """What was coded in another order is told by its own picture."""
    torch.manual_seed(1)
    codec = build("dvc", {})
    with_b = Case(clip, RATE, order_of(clip))
    found = {
        name: measure_loss(codec, case, torch.device("cpu"))
        for name, case in {
            "b": with_b,
            "p": replace(with_b, order=order_of(clip, 0)),
        }.items()
    }
    assert found["b"] != found["p"]
    for row in found.values():
        d = 10 ** (-row["psnr"] / 10)
        expected = lambda_at(RATE) * d + row["motion"] + row["residual"]
        assert row["rd"] == pytest.approx(expected, rel=0.25)  # the mean of PSNR is not PSNR's mean
        assert 25 < row["psnr"] < 60 and row["psnr_predicted"] > 20
    codec.prior_between = None
    assert measure_loss(codec, with_b, torch.device("cpu")) == found["p"]
