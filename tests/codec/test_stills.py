"""I frames through the filter: used where it helps, told to the decoder, the same on both sides."""

from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
import torch

from dvc_codec.codec import stills
from dvc_codec.codec.decoder import decode_file
from dvc_codec.codec.encoder import encode_file
from dvc_codec.codec.frame_decoder import FrameParser
from dvc_codec.codec.model import Model, load_model, save_model, write_weights
from dvc_codec.codec.registry import build, describe
from dvc_codec.codec.stills import refine, refined
from dvc_codec.container import Place, Reader
from dvc_codec.errors import DamagedFile
from dvc_codec.networks.config import Metric
from dvc_codec.video import Picture
from tests.files import write_video
from tests.moving import panned_texture

LAMBDA = 4096.0


def darkening(levels: float = 2.0, metric: Metric = "mse") -> Model:
    """A codec whose filter takes so many levels off luma at the strength of ``LAMBDA``."""
    torch.manual_seed(2)
    codec = build("dvc", {"stills": 8, "metric": metric})
    assert codec.stills is not None and codec.stills.leave.bias is not None
    with torch.no_grad():
        codec.stills.leave.bias[:4] = -levels / 255 / (11.5 / LAMBDA) ** 0.5
    return Model("darkening", bytes(32), codec.eval())


def brighter(picture: Picture, levels: int) -> Picture:
    return replace(picture, y=np.clip(picture.y.astype(int) + levels, 0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("metric", "size"), [("mse", (96, 64)), ("ms-ssim", (96, 64)), ("ms-ssim", (208, 192))]
)
@torch.inference_mode()
def test_it_is_used_where_it_helps_and_the_decoder_is_told(
    metric: Metric, size: tuple[int, int]
) -> None:
    codec = darkening(metric=metric).codec
    source = panned_texture(size=size, frames=1)[0]
    source = replace(source, y=np.clip(source.y, 8, 240))
    told, shown = refine(codec, source, brighter(source, 2), LAMBDA)
    assert [len(payload) for payload in told] == [1]
    assert shown.equals(source)
    assert refined(codec, brighter(source, 2), told).equals(shown)
    told, shown = refine(codec, source, source, LAMBDA)
    assert told == ()
    assert shown is source
    assert refined(codec, source, told) is source


@torch.inference_mode()
def test_weights_without_a_filter_leave_pictures_alone() -> None:
    codec = build("dvc", {})
    picture = panned_texture(size=(64, 64), frames=1)[0]
    decoded = brighter(picture, 1)
    told, shown = refine(codec, picture, decoded, LAMBDA)
    assert told == ()
    assert shown is decoded
    with pytest.raises(DamagedFile, match="no filter"):
        refined(codec, picture, [bytes([3])])


@pytest.mark.parametrize("told", [[b""], [bytes([64])], [b"\3\3"], [b"\3", b"\3"]])
def test_what_is_no_strength_is_damage(told: list[bytes]) -> None:
    picture = panned_texture(size=(64, 64), frames=1)[0]
    with pytest.raises(DamagedFile, match="strength"):
        refined(darkening().codec, picture, told)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [(96, 64), (65, 47)])
def test_files_of_filtered_i_frames_come_back_as_the_encoder_saw_them(
    tmp_path: Path, threads: int, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = cycle((1.0, 0.5, 1.0, 2.0))  # every second I frame is said to gain
    monkeypatch.setattr(stills, "_cost", lambda *_: next(costs))
    weights = tmp_path / "w.safetensors"
    save_model(darkening().codec, weights, "w")
    model = load_model(weights)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        source = write_video(tmp_path / "in.y4m", panned_texture(size=size, frames=5))
        coded, recon = tmp_path / "v.dvc", tmp_path / "recon.y4m"
        settings = {"lagrangian": 512.0, "gop": 3, "recon": recon, "intra": "hevc"}
        encode_file(source, coded, model=model, **settings)  # type: ignore[arg-type]
        decoded = decode_file(coded, tmp_path / "out.y4m", model=model)
    finally:
        torch.set_num_threads(before)
    assert decoded.differing == 0
    assert (tmp_path / "out.y4m").read_bytes() == recon.read_bytes()
    with Reader(coded) as opened:
        firsts = [opened.read_gop(n).frames[0] for n in range(2)]
    assert {len(frame.payloads) for frame in firsts} == {2, 1}  # groups are coded side by side


def test_a_p_frame_has_one_payload(tmp_path: Path) -> None:
    model = darkening()
    source = write_video(tmp_path / "in.y4m", panned_texture(size=(64, 64), frames=2))
    encode_file(source, tmp_path / "v.dvc", lagrangian=512.0, model=model, between=0)
    with Reader(tmp_path / "v.dvc") as opened:
        first, second = opened.read_gop(0).frames
        parser = FrameParser(model, opened.header)
        parser.parse(first, Place(0))
        with pytest.raises(DamagedFile, match="2 payloads"):
            parser.parse(replace(second, payloads=(*second.payloads, b"\3")), Place(1, 0))


def test_weights_say_their_filter_only_where_they_have_one(tmp_path: Path) -> None:
    assert "stills" not in describe(build("dvc", {"stills": 0}))[1]
    name, said = describe(build("dvc", {"stills": 8}))
    again = build(name, said)
    assert again.stills is not None and again.stills.channels == 8
    with pytest.raises(ValueError, match="stills"):
        build("dvc", {"stills": -1})


def test_weights_written_as_they_are_keep_every_bit(tmp_path: Path) -> None:
    old, new = tmp_path / "old.safetensors", tmp_path / "new.safetensors"
    first = save_model(build("dvc", {"stills": 8}), old, "same")
    assert write_weights(load_model(old).codec, new, "same") == first
    assert old.read_bytes() == new.read_bytes()


@torch.inference_mode()
def test_strips_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter of the shipped depth sees nothing beyond the rows beside a strip."""
    torch.manual_seed(4)
    codec = build("dvc", {"stills": 8}).eval()
    assert codec.stills is not None
    torch.nn.init.normal_(codec.stills.leave.weight, std=0.3)
    picture = panned_texture(size=(64, 1090), frames=1)[0]
    told = [bytes([5])]
    in_strips = refined(codec, picture, told)
    monkeypatch.setattr(stills, "ROWS", 2048)
    at_once = refined(codec, picture, told)
    assert not at_once.equals(picture)
    for one, other in zip(in_strips.planes, at_once.planes, strict=True):
        assert np.abs(one.astype(int) - other).max() <= 1  # sums in another order
        assert (one != other).mean() < 1e-3
