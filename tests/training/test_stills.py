"""Training the filter of I frames: it learns what a still codec does, goes on where it stopped, and
ends beside weights that stay as they were.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from data_prep.intra_bank import make_bank
from dvc_codec.codec.model import load_model, save_model, write_weights
from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.codec.registry import build
from dvc_codec.errors import OutOfRange, WrongModel
from dvc_codec.intra import encode_for_lambda
from dvc_codec.networks.rate import lambda_at
from dvc_codec.networks.still_filter import StillFilter
from dvc_codec.training.filters import beside
from dvc_codec.training.intra_frames import IntraBank, as_shown, load_bank
from dvc_codec.training.main import main
from dvc_codec.training.module import CodecTraining
from dvc_codec.training.stills import StillPairs, held_out, train
from dvc_codec.video import Picture
from tests.intra.test_intra import NEEDS_VVENC
from tests.training.clips import moving_clips, write_shards

CLIPS = moving_clips(4, 3, size=(96, 80)).clamp(10, 240)


def bank(clips: Tensor = CLIPS) -> IntraBank:
    """Two I frames of every clip, six levels too bright."""
    count = len(clips)
    chosen, frames = np.arange(count).repeat(2), np.tile([0, 2], count)
    pictures = clips[chosen, frames] + 6
    return IntraBank(pictures, chosen, frames, np.tile([20, 40], count))


def test_it_learns_what_was_done_to_the_stills(tmp_path: Path) -> None:
    trained, gain = train(bank(), CLIPS, "mse", tmp_path, steps=60, batch=2, size=64)
    assert gain > 3
    assert (tmp_path / "train.csv").is_file()
    decoded, source, strengths = held_out(StillPairs(bank(), CLIPS, "mse", 1, 64, 1), 1)[0]
    with torch.no_grad():
        filtered = trained(decoded, strengths, fast=False)
    assert (filtered.luma - source.luma).abs().mean() < (decoded.luma - source.luma).abs().mean()


def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    settings = {"batch": 2, "size": 64}
    train(bank(), CLIPS, "mse", tmp_path, steps=4, **settings)
    again, _ = train(bank(), CLIPS, "mse", tmp_path, steps=4, resume=True, **settings)
    kept = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert kept["global_step"] == 4
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, kept["state_dict"][f"ema.{name}"])


def test_a_pair_is_the_same_part_of_the_same_frame() -> None:
    pairs = StillPairs(bank(), CLIPS, "mse", 3, 64, 1)
    decoded, source, strengths = next(iter(pairs))
    for one, other in zip(decoded, source, strict=True):
        assert torch.allclose(one - other, torch.tensor(6 / 255), atol=1e-6)
    assert set(strengths.tolist()) <= set(pairs.strengths.tolist())


def test_four_stills_are_the_fewest(tmp_path: Path) -> None:
    few = IntraBank(CLIPS[:3, 0], np.arange(3), np.zeros(3, int), np.full(3, 20))
    with pytest.raises(OutOfRange, match="3 coded stills"):
        train(few, CLIPS, "mse", tmp_path, steps=1, batch=1, size=64)


def test_other_networks_have_no_place_for_it() -> None:
    with pytest.raises(WrongModel, match="dvc"):
        beside(build("dvc2019", {}), "stills", StillFilter(8))


def test_training_sees_i_frames_as_they_are_shown() -> None:
    from dvc_codec.training.crops import whole

    coded = whole(CLIPS[0, 0])
    assert as_shown(PFrameCodec(), coded, torch.tensor([20])) is coded
    codec = build("dvc", {"stills": 8})
    assert codec.stills is not None and codec.stills.leave.bias is not None
    torch.nn.init.constant_(codec.stills.leave.bias, -0.1)
    weak, strong = (as_shown(codec, coded, torch.tensor([rate])) for rate in (50, 5))
    assert coded.luma.mean() > weak.luma.mean() > strong.luma.mean()


@NEEDS_VVENC
@pytest.mark.parametrize("metric", ["mse", "ms-ssim"])
def test_a_bank_of_vvc_stills_holds_what_the_encoder_would_see(tmp_path: Path, metric: str) -> None:
    write_shards(CLIPS[:2], tmp_path / "clips", per_shard=2)
    structural = metric == "ms-ssim"
    made = make_bank(
        tmp_path / "clips",
        tmp_path / "bank",
        each=1,
        rates=(30,),
        codec="vvc",
        structural=structural,
    )
    found = load_bank(tmp_path / "bank", (0, 1))
    assert made == len(found.rates) == 2
    entry = int(np.flatnonzero(found.clips == 1)[0])
    picture, stored = (as_picture(p) for p in (CLIPS[1, 0], found.pictures[entry]))
    _, _, decoded = encode_for_lambda(picture, lambda_at(30), "vvc", structural=structural)
    assert stored.equals(decoded)


def as_picture(planar: Tensor) -> Picture:
    rows, width = planar.shape
    height = rows * 2 // 3
    u, v = planar[height:].reshape(2, height // 2, width // 2).numpy()
    return Picture(np.ascontiguousarray(planar[:height].numpy()), u.copy(), v.copy())


def test_the_command_adds_a_filter_to_weights(
    tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shards(CLIPS, tmp_path / "clips", per_shard=2)
    make_bank(tmp_path / "clips", tmp_path / "bank", each=2, rates=(20, 40))
    out = tmp_path / "new.safetensors"
    words = (
        f"stills --data {tmp_path / 'clips'} --bank {tmp_path / 'bank'} --weights {weights} "
        f"--out {out} --folder {tmp_path / 'run'} --steps 2 --batch 2 --size 64"
    )
    assert main(words.split()) == 0
    old, new = load_model(weights).codec, load_model(out)
    assert new.sha256.hex() in out.with_suffix(".md").read_text()
    assert new.sha256.hex() in capsys.readouterr().out
    assert new.codec.stills is not None
    kept = new.codec.state_dict()
    before = old.state_dict().items()
    assert all(torch.equal(kept[name], tensor) for name, tensor in before if "stills." not in name)


def test_training_that_starts_from_weights_with_a_filter_keeps_it(
    tmp_path: Path, weights: Path
) -> None:
    path = tmp_path / "w.safetensors"
    net = StillFilter(8)
    torch.nn.init.normal_(net.leave.weight)
    write_weights(beside(load_model(weights).codec, "stills", net), path, "w")
    module = CodecTraining(init_from=path)
    assert module.settings["stills"] == 8
    for codec in (module.codec, module.ema):
        assert codec.stills is not None
        assert torch.allclose(codec.stills.leave.weight, net.leave.weight, atol=1e-3)
    assert not any(p.requires_grad for n, p in module.codec.named_parameters() if "stills." in n)
    plain = tmp_path / "plain.safetensors"
    save_model(build("dvc", {}), plain, "plain")
    assert CodecTraining(init_from=plain).codec.stills is None
