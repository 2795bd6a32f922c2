"""Training the post-filter: on what the encoder's loop filter saw, and nothing else learns."""

from pathlib import Path
from typing import Any

import pytest
import torch

from data_prep.post_bank import make_bank
from dvc_codec.codec.decoder import decode_file
from dvc_codec.codec.encoder import encode_file
from dvc_codec.codec.model import Model, load_model, save_model, untrained_model
from dvc_codec.codec.registry import build
from dvc_codec.container import Reader
from dvc_codec.errors import FileMissing, OutOfRange, WrongModel
from dvc_codec.networks.p_frame import PFrameNetwork
from dvc_codec.networks.planes import pack
from dvc_codec.networks.post_filter import PostFilter
from dvc_codec.networks.reference import Reference
from dvc_codec.training.clips import as_picture, split
from dvc_codec.training.crops import whole
from dvc_codec.training.filters import beside
from dvc_codec.training.main import main
from dvc_codec.training.module import CodecTraining
from dvc_codec.training.post import PostSamples, Use, load_bank, train
from tests.files import write_video
from tests.moving import panned_texture
from tests.training.clips import moving_clips, write_shards

CLIPS = moving_clips(4, 3, size=(128, 128)).clamp(10, 240)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("loop")
    write_shards(CLIPS, folder / "clips", per_shard=2)
    written = make_bank(
        folder / "clips", folder / "bank", untrained_model(), clips=4, frames=3, intra="hevc"
    )
    assert written == 8
    return folder / "bank"


def test_the_bank_holds_what_the_filter_saw(bank: Path) -> None:
    """Prediction and residual add up to what an untrained codec shows, near the source."""
    clips = load_bank(bank)
    assert [len(clip) for clip in clips] == [2] * 4
    sample = clips[1].at(1, 0, 0, 128)
    shown = sample.prediction + sample.residual
    assert sample.quarter.dtype == torch.bfloat16 and sample.steps is None
    assert (shown - pack(sample.source)).abs().mean() < 0.03
    numbers = [int(n) for n in (clip.tensors["rates"][0] for clip in clips)]
    assert all(0 <= n < 64 for n in numbers)
    index = clips[1].tensors["source"][1]
    assert any(torch.equal(index, picture) for picture in CLIPS.flatten(0, 1))


def test_a_crop_is_the_same_place_of_everything(bank: Path) -> None:
    clip = load_bank(bank)[0]
    part, all_of_it = clip.at(0, 32, 48, 64), clip.at(0, 0, 0, 128)
    assert torch.equal(part.prediction, all_of_it.prediction[..., 8:24, 12:28])
    assert torch.equal(part.eighth, all_of_it.eighth[..., 4:12, 6:14])
    assert torch.equal(part.source.luma, all_of_it.source.luma[..., 32:96, 48:112])
    assert torch.equal(part.source.chroma, all_of_it.source.chroma[..., 16:48, 24:56])
    drawn = next(iter(PostSamples([clip], 3, 64, 1)))
    assert drawn.prediction.shape == (3, 24, 16, 16) and drawn.source.luma.shape == (3, 1, 64, 64)


def test_it_learns_and_leaves_the_rest_alone(bank: Path, tmp_path: Path) -> None:
    network = untrained_model().codec.network
    assert isinstance(network, PFrameNetwork)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    _, gain = train(load_bank(bank), network, tmp_path, channels=8, steps=150, batch=2, size=64)
    assert gain > 0.05
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())


def test_training_sees_what_the_codec_does(bank: Path) -> None:
    """The filter behind stored numbers is the filter in the codec, to the precision of storage."""
    torch.manual_seed(1)
    codec = build("dvc", {"post": 8}).eval()
    network = codec.network
    assert isinstance(network, PFrameNetwork) and network.post is not None
    torch.nn.init.normal_(network.post.leave.weight, std=0.1)
    seen = []
    finish, network.displays = network.finish, True

    def watched(*given: Any) -> Reference:
        seen.append(finish(*given))
        return seen[-1]

    network.finish = watched  # type: ignore[method-assign]
    folder = bank.parent / "watched"
    make_bank(
        bank.parent / "clips", folder, Model("w", bytes(32), codec), clips=1, frames=2, intra="hevc"
    )
    sample = load_bank(folder)[0].at(0, 0, 0, 128)
    with torch.inference_mode():
        before, after, _ = Use(network)(network.post, sample, False)
    shown = seen[0].shown
    assert shown is not None
    assert (after.luma - before.luma).abs().max() > 0.005
    assert (after.luma - shown.luma).abs().max() < 0.6 / 255


def test_clips_that_are_too_few_or_not_there(bank: Path, tmp_path: Path) -> None:
    network = untrained_model().codec.network
    with pytest.raises(OutOfRange, match="3 coded clips"):
        train(load_bank(bank)[:3], network, tmp_path, steps=1)
    with pytest.raises(FileMissing, match="post_bank"):
        load_bank(tmp_path)
    with pytest.raises(WrongModel, match="dvc"):
        beside(build("dvc2019", {}), "post", PostFilter(8, 48))


def test_the_command_adds_it_and_files_of_it_come_back(bank: Path, tmp_path: Path) -> None:
    old, out = tmp_path / "old.safetensors", tmp_path / "new.safetensors"
    save_model(build("dvc", {}), old, "old")
    words = (
        f"post --bank {bank} --weights {old} --out {out} --folder {tmp_path / 'run'} "
        "--channels 8 --steps 3 --batch 2 --size 64"
    )
    assert main(words.split()) == 0
    new = load_model(out)
    assert new.sha256.hex() in out.with_suffix(".md").read_text()
    network = new.codec.network
    assert isinstance(network, PFrameNetwork) and network.post is not None
    torch.nn.init.normal_(network.post.leave.weight, std=0.05)
    source = write_video(tmp_path / "in.y4m", panned_texture(size=(80, 64), frames=5))
    recon = tmp_path / "recon.y4m"
    encode_file(source, tmp_path / "v.dvc", lagrangian=512.0, model=new, recon=recon)
    assert decode_file(tmp_path / "v.dvc", tmp_path / "out.y4m", model=new).differing == 0
    assert (tmp_path / "out.y4m").read_bytes() == recon.read_bytes()
    encode_file(source, tmp_path / "old.dvc", lagrangian=512.0, model=load_model(old))
    with Reader(tmp_path / "v.dvc") as one, Reader(tmp_path / "old.dvc") as other:
        frames = list(zip(one.read_gop(0).frames, other.read_gop(0).frames, strict=True))
    # It is beside the loop: not a bit differs, all P and B frames' pictures do
    assert all(a.payloads == b.payloads for a, b in frames)
    assert [a.picture_hash == b.picture_hash for a, b in frames] == [True] + 4 * [False]


def test_training_that_starts_from_weights_with_it_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    post = PostFilter(8, 48)
    torch.nn.init.normal_(post.leave.weight)
    save_model(beside(build("dvc", {}), "post", post), path, "w")
    module = CodecTraining(init_from=path)
    assert module.settings["post"] == 8
    network = module.codec.network
    assert isinstance(network, PFrameNetwork) and network.post is not None
    assert torch.allclose(network.post.leave.weight, post.leave.weight, atol=1e-3)
    assert not any(p.requires_grad for p in network.post.parameters())  # train.py post does that


def test_pictures_of_clips_are_whole() -> None:
    picture, planes = as_picture(*split(CLIPS[0, 0])), whole(CLIPS[0, 0])
    luma = torch.from_numpy(picture.y).float() / 255 - 0.5
    assert torch.equal(luma, planes.luma[0, 0])
