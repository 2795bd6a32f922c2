"""Weights on disk: one file, named by its hash, that nothing else passes for."""

import hashlib
import io
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dvc_codec.codec import symbols
from dvc_codec.codec.costs import learned_costs
from dvc_codec.codec.model import load_model, save_model, untrained_model
from dvc_codec.codec.p_frame import PFrameCodec, code_frame
from dvc_codec.codec.pictures import to_planes
from dvc_codec.codec.registry import build, describe
from dvc_codec.entropy.mixing import Statistics
from dvc_codec.entropy.mixing_kernel import COUNTS
from dvc_codec.entropy.scale import IntegerConv
from dvc_codec.errors import FileMissing, WrongModel
from dvc_codec.networks.config import PFrameConfig
from dvc_codec.networks.p_frame import PFrameNetwork
from tests.moving import panned_texture


@pytest.fixture
def codec() -> PFrameCodec:
    """As training may leave it: no weight is what it was."""
    torch.manual_seed(1)
    codec = PFrameCodec()
    with torch.no_grad():
        for parameter in codec.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    known, random = codec.prior.statistics()["luma"], np.random.default_rng(1)
    seen = random.integers(0, 2, len(known.counters)) * 77
    share = random.integers(64, 2**22 - 64, len(known.counters))
    counters = np.where(seen > 0, share * COUNTS + seen, 0).astype(np.uint32)
    weights = random.integers(-(2**20), 2**20, known.weights.shape)  # beyond what float16 holds
    codec.prior.set_statistics("luma", Statistics(known.sizes, known.parents, counters, weights))
    return codec


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "weights.safetensors"


def test_a_model_is_named_by_its_bytes(codec: PFrameCodec, path: Path) -> None:
    digest = save_model(codec, path, "mine")
    model = load_model(path)
    assert digest == model.sha256 == hashlib.sha256(path.read_bytes()).digest()
    assert model.name == "mine"


def test_saving_what_was_loaded_gives_the_same_file(codec: PFrameCodec, path: Path) -> None:
    digest = save_model(codec, path, "mine")
    assert save_model(load_model(path).codec, path.with_suffix(".again"), "mine") == digest


def test_weights_are_float16_and_integers_stay_exact(codec: PFrameCodec, path: Path) -> None:
    save_model(codec, path, "mine")
    stored = load_file(path)
    assert {t.dtype for t in stored.values()} == {torch.float16, torch.int16, torch.int32}
    loaded = load_model(path).codec
    for name, plane in codec.prior.statistics().items():
        again = loaded.prior.statistics()[name]
        np.testing.assert_array_equal(again.counters, plane.counters)
        np.testing.assert_array_equal(again.weights, plane.weights)
    assert (codec.prior.statistics()["luma"].counters % COUNTS).any()
    for mine, theirs in zip(codec.modules(), loaded.modules(), strict=True):
        if isinstance(mine, IntegerConv):
            assert isinstance(theirs, IntegerConv)
            for a, b in zip(mine.integers(), theirs.integers(), strict=True):
                assert torch.equal(a, b)
            assert torch.equal(theirs.weight * 128, (theirs.weight * 128).round())


def test_a_loaded_model_codes_and_learns_nothing(codec: PFrameCodec, path: Path) -> None:
    save_model(codec, path, "mine")
    loaded = load_model(path, fast=False).codec
    assert not any(p.requires_grad for p in loaded.parameters()) and not loaded.training
    first, second = (to_planes(p) for p in panned_texture(size=(64, 64), frames=2))
    state, statistics = loaded.start(first), loaded.prior.statistics()
    coded = code_frame(loaded, second, state, torch.tensor([42]), learned_costs(statistics))
    payload, *_ = symbols.write(
        loaded.prior, statistics, coded.sent, coded.fine, coded.lifts, state.past
    )
    read, *_ = symbols.read(loaded.prior, statistics, payload, state.past)
    assert all(torch.equal(read[name], plane) for name, plane in coded.symbols.items())


def test_a_configuration_travels_with_its_weights(path: Path) -> None:
    codec = PFrameCodec(PFrameNetwork(PFrameConfig(quarter=16, eighth=24, sixteenth=32)))
    save_model(codec, path, "small")
    loaded = load_model(path).codec
    assert describe(loaded) == describe(codec)
    assert describe(loaded)[1]["eighth"] == 24


def test_precision_can_be_chosen(codec: PFrameCodec, path: Path) -> None:
    save_model(codec, path, "mine")
    assert load_model(path, fast=True).codec.network.fast
    assert not load_model(path, fast=False).codec.network.fast


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match=r"nowhere\.safetensors"):
        load_model(tmp_path / "nowhere.safetensors")
    with pytest.raises(FileMissing):
        load_model(tmp_path)


class Trap:
    """A pickle that would do something when it is loaded."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("a pickle was loaded",)


def _pickled() -> bytes:
    buffer = io.BytesIO()
    torch.save({"weights": torch.zeros(3)}, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 8, bytes(range(256)) * 40, pickle.dumps(Trap()), _pickled(), b"{}" * 50],
    ids=["empty", "zeros", "bytes", "pickle", "torch.save", "text"],
)
def test_what_is_not_weights_is_the_wrong_model(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(WrongModel, match=r"weights\.safetensors"):
        load_model(path)


@pytest.mark.parametrize(
    "said",
    [
        None,
        {"name": "x", "network": "dvc", "config": "{}"},
        {"dvc_codec": "no json"},
        {"dvc_codec": "[]"},
        {"dvc_codec": "[" * 100_000},
        {"dvc_codec": '{"name": "x"}'},
        {"dvc_codec": '{"name": "x", "network": "dvc"}'},
        {"dvc_codec": '{"name": "x", "network": "other", "config": {}}'},
        {"dvc_codec": '{"name": "x", "network": "dvc", "config": []}'},
        {"dvc_codec": '{"name": "x", "network": "dvc", "config": {"colour": 3}}'},
        {"dvc_codec": '{"name": "x", "network": "dvc", "config": {"quarter": "many"}}'},
        {"dvc_codec": '{"name": "x", "network": "dvc", "config": {"quarter": -1}}'},
        {"dvc_codec": '{"name": "x", "network": "dvc", "config": {"quarter": 1000000}}'},
        {"dvc_codec": '{"name": "x", "network": ["dvc"], "config": {}}'},
        {"dvc_codec": '{"name": "x", "network": "dvc", "config": {"quarter": 16}}'},
    ],
)
def test_weights_of_something_else_are_the_wrong_model(
    path: Path, said: dict[str, str] | None
) -> None:
    save_file({"weight": torch.zeros(3)}, path, said)
    with pytest.raises(WrongModel):
        load_model(path)


def test_weights_without_a_name_are_the_wrong_model(codec: PFrameCodec, path: Path) -> None:
    save_model(codec, path, "mine")
    network, config = describe(codec)
    said = json.dumps({"network": network, "config": config})
    save_file(load_file(path), path, {"dvc_codec": said})
    with pytest.raises(WrongModel):
        load_model(path)


def test_a_cut_file_is_the_wrong_model(codec: PFrameCodec, path: Path) -> None:
    save_model(codec, path, "mine")
    data = path.read_bytes()
    for length in (4, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(WrongModel):
            load_model(path)


def test_weights_that_would_parse_differently_elsewhere_are_not_saved(
    codec: PFrameCodec, path: Path
) -> None:
    layer = codec.prior.scale("chroma").enter[-1]
    with torch.no_grad():
        layer.weight.fill_(1)
    with pytest.raises(OverflowError):
        save_model(codec, path, "mine")
    assert not path.exists()


def test_the_untrained_model_is_always_the_same() -> None:
    a, b = untrained_model(), untrained_model()
    assert a.sha256 == b.sha256
    first, second = (to_planes(p) for p in panned_texture(size=(64, 64), frames=2))
    found = []
    for model in (a, b):
        codec = model.codec
        state, statistics = codec.start(first), codec.prior.statistics()
        coded = code_frame(codec, second, state, torch.tensor([42]), learned_costs(statistics))
        payload, *_ = symbols.write(
            codec.prior, statistics, coded.sent, coded.fine, coded.lifts, state.past
        )
        found.append((payload, coded.state.reference.picture.luma))
    assert found[0][0] == found[1][0] and torch.equal(found[0][1], found[1][1])


def test_unknown_networks_are_refused() -> None:
    with pytest.raises(ValueError, match="no network is called"):
        build("other", {})
    with pytest.raises(ValueError, match="colour"):
        build("dvc", {"colour": 3})
    with pytest.raises(ValueError, match="metric"):
        build("dvc", {"metric": "vmaf"})


def test_a_configuration_says_its_metric_only_where_it_is_another() -> None:
    assert "metric" not in describe(build("dvc", {"metric": "mse"}))[1]
    name, said = describe(build("dvc", {"metric": "ms-ssim", "flow": 8}))
    assert build(name, said).network.metric == "ms-ssim"


def test_a_mistake_of_the_program_is_not_blamed_on_the_weights(
    codec: PFrameCodec, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(*_: object) -> None:
        raise TypeError("a mistake")

    save_model(codec, path, "mine")
    monkeypatch.setattr(PFrameNetwork, "__init__", mistaken)
    with pytest.raises(TypeError, match="a mistake"):
        load_model(path)


def test_what_cannot_be_saved_leaves_what_was_there(
    codec: PFrameCodec, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = save_model(codec, path, "mine")

    def full(part: Path, data: bytes) -> None:
        part.touch()
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="no space"):
        save_model(untrained_model().codec, path, "other")
    assert load_model(path).sha256 == digest
    assert [file.name for file in path.parent.iterdir()] == [path.name]
