"""What the entropy coder starts with is learned from clips, and nothing else of weights changes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dvc_codec.codec.decoder import decode_file
from dvc_codec.codec.encoder import encode_file
from dvc_codec.codec.model import Model, load_model, save_model
from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.codec.registry import build
from dvc_codec.codec.symbols import StatisticsOfKinds
from dvc_codec.container import FrameKind
from dvc_codec.entropy.mixing import Statistics
from dvc_codec.entropy.mixing_kernel import COUNTS
from dvc_codec.errors import DamagedFile, FileMissing, OutOfRange
from dvc_codec.networks.p_frame import PFrameNetwork
from dvc_codec.training.coded_clips import clip_files, kept, read_clip
from dvc_codec.training.main import main
from dvc_codec.training.statistics import MOST_SEEN, begin_with, code, learn
from dvc_codec.training.statistics import main as command
from tests.files import write_video
from tests.moving import panned_texture
from tests.shaken import shaken
from tests.training.clips import moving_clips, write_shards

P, B = FrameKind.P, FrameKind.B
CLIPS = moving_clips(3, 9, size=(96, 80))


def untrained() -> PFrameCodec:
    torch.manual_seed(1)
    codec = build("dvc", {}).eval()
    codec.bake()
    return codec


@pytest.fixture(scope="module")
def codec() -> PFrameCodec:
    return untrained()


@pytest.fixture(scope="module")
def learned(codec: PFrameCodec) -> StatisticsOfKinds:
    return learn(codec, code(codec, CLIPS))


def seen(statistics: Statistics) -> NDArray[np.uint32]:
    """How much each counter has."""
    return statistics.counters % COUNTS


def same(one: Statistics, other: Statistics) -> bool:
    return np.array_equal(one.counters, other.counters) and np.array_equal(
        one.weights, other.weights
    )


def test_p_and_b_frames_are_learned_apart(codec: PFrameCodec, learned: StatisticsOfKinds) -> None:
    assert set(learned) == {P, B}
    for kind, planes in learned.items():
        fresh = codec.prior_of(kind).statistics()
        assert list(planes) == list(fresh)
        assert not np.array_equal(planes["luma"].counters, fresh["luma"].counters), kind
        assert not np.array_equal(planes["luma"].weights, fresh["luma"].weights), kind
        assert not seen(fresh["luma"]).any() and (seen(planes["luma"]) > 0).sum() > 1000
    assert not same(learned[P]["luma"], learned[B]["luma"])


def test_learning_changes_nothing_of_the_codec() -> None:
    codec = shaken(untrained())
    assert isinstance(codec.network, PFrameNetwork)
    codec.network.displays = True
    before = {name: tensor.clone() for name, tensor in codec.state_dict().items()}
    learn(codec, code(codec, CLIPS[:1, :3]))
    assert codec.network.displays
    assert all(torch.equal(before[name], t) for name, t in codec.state_dict().items())


def test_a_codec_without_b_frames_learns_p_frames_only() -> None:
    alone = PFrameCodec(prior=PFrameCodec().prior)
    alone.bake()
    assert set(learn(alone, code(alone, CLIPS[:1, :3]))) == {P}


def test_learning_goes_on_from_what_groups_begin_with_and_from_clip_to_clip(
    codec: PFrameCodec, learned: StatisticsOfKinds
) -> None:
    one, two = (learn(codec, code(codec, CLIPS[:n])) for n in (1, 2))
    for kind in (P, B):
        amounts = [int(seen(known[kind]["luma"]).sum()) for known in (one, two, learned)]
        assert amounts[0] < amounts[1] < amounts[2], kind
    other = untrained()
    begin_with(other, learned)
    for kind, planes in learn(other, ()).items():
        begun = other.prior_of(kind).statistics()
        assert all(same(planes[name], begun[name]) for name in begun), kind


@pytest.mark.parametrize(("given", "most"), [((), MOST_SEEN), ((8,), 8)])
def test_groups_begin_as_if_no_counter_had_seen_more(
    learned: StatisticsOfKinds, given: tuple[int, ...], most: int
) -> None:
    codec = untrained()
    begin_with(codec, learned, *given)
    assert max(int(seen(planes["luma"]).max()) for planes in learned.values()) > most
    for kind, planes in learned.items():
        begun = codec.prior_of(kind).statistics()
        for name, known in planes.items():
            assert int(seen(begun[name]).max()) <= most
            assert np.array_equal(seen(begun[name]) > 0, seen(known) > 0), name
            often = seen(known) >= most
            assert bool((seen(begun[name])[often] == most).all()), name
            assert np.array_equal(begun[name].weights, known.weights), name
            ours, theirs = (s.counters[seen(known) > 0] // COUNTS for s in (begun[name], known))
            np.testing.assert_allclose(ours, theirs, rtol=0.01, atol=1e-4 * 2**22)


def test_symbols_are_kept_and_learned_from_again_to_the_bit(
    codec: PFrameCodec, learned: StatisticsOfKinds, tmp_path: Path
) -> None:
    folder = tmp_path / "symbols"
    clips = [*kept(code(codec, CLIPS), folder)]
    again = learn(codec, map(read_clip, clip_files(folder)))
    for kind, planes in learned.items():
        assert all(same(planes[name], again[kind][name]) for name in planes), kind
    assert [len(clip.frames) for clip in clips] == [8, 8, 8]
    assert clips[0].size == (80, 96)


def test_each_clip_is_coded_with_what_those_before_it_left(codec: PFrameCodec) -> None:
    (alone,), (_, after) = code(codec, CLIPS[1:2], seed=3), code(codec, CLIPS[[1, 1]], seed=3)
    ours, theirs = (torch.cat([f.sent["luma"] for f in clip.frames]) for clip in (alone, after))
    assert not torch.equal(ours, theirs)


@pytest.mark.parametrize("content", [b"", b"not a zip"])
def test_files_of_something_else_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(DamagedFile, match="other"):
        read_clip(path)
    np.savez(path, nothing=np.zeros(1))
    with pytest.raises(DamagedFile, match="other"):
        read_clip(path)


def test_a_folder_without_symbols_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match="--keep"):
        clip_files(tmp_path)


def coded(source: Path, model: Model) -> tuple[int, float]:
    """Bits of P and B frames, and dB, of two groups that are read back as the encoder saw them."""
    target, recon, decoded = (source.with_name(name) for name in ("v.dvc", "recon.y4m", "out.y4m"))
    done = encode_file(
        source, target, lagrangian=512.0, gop=5, intra="hevc", model=model, recon=recon
    )
    assert decode_file(target, decoded, model=model).differing == 0
    assert decoded.read_bytes() == recon.read_bytes()
    bits = sum(bits for part, bits in done.bits.items() if part not in ("intra", "overhead"))
    return bits, done.psnr


def test_the_command_changes_statistics_alone_and_files_are_smaller(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, out = tmp_path / "old.safetensors", tmp_path / "new.safetensors"
    save_model(untrained(), old, "old")
    write_shards(CLIPS, tmp_path / "clips", per_shard=2)
    words = f"statistics --data {tmp_path / 'clips'} --weights {old} --out {out} --intra hevc"
    symbols = tmp_path / "symbols"
    assert main([*words.split(), "--keep", str(symbols)]) == 0
    again = (
        f"statistics --symbols {symbols} --weights {old} --out {tmp_path / 'a' / 'new.safetensors'}"
    )
    assert main(again.split()) == 0
    assert (tmp_path / "a" / "new.safetensors").read_bytes() == out.read_bytes()
    before, after = load_model(old), load_model(out)
    assert after.name == "new" and after.sha256 != before.sha256
    card = out.with_suffix(".md").read_text()
    assert after.sha256.hex() in card and before.sha256.hex() in card and "3 clips" in card
    assert after.sha256.hex() in capsys.readouterr().out
    ours, theirs = before.codec.state_dict(), after.codec.state_dict()
    assert list(ours) == list(theirs)
    changed = {name for name in ours if not torch.equal(ours[name], theirs[name])}
    priors = [("prior", before.codec.prior_of(P)), ("prior_between", before.codec.prior_of(B))]
    may_change = {
        f"{where}.{what}_{plane.name}"
        for where, prior in priors
        for plane in prior.planes
        for what in ("counters", "weights")
    }
    assert changed <= may_change
    assert {f"{where}.counters_luma" for where, _ in priors} <= changed
    shown = panned_texture(size=(96, 80), frames=9, shift=(-1.0, 1.5), seed=9)
    source = write_video(tmp_path / "in.y4m", shown)
    (plain, psnr), (less, same_psnr) = (coded(source, model) for model in (before, after))
    assert less < 0.98 * plain
    assert same_psnr > psnr - 0.05


def test_weights_have_their_ending(tmp_path: Path) -> None:
    words = f"--data {tmp_path} --weights {tmp_path / 'old'} --out {tmp_path / 'new.pt'}"
    with pytest.raises(OutOfRange, match="safetensors"):
        command(words.split())
