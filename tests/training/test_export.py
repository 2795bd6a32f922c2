"""From trained weights to those that ship: what the entropy coder starts with."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dvc_codec.codec.model import load_model
from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.codec.registry import build
from dvc_codec.container import FrameKind
from dvc_codec.entropy.mixing_kernel import COUNTS
from dvc_codec.errors import WrongModel
from dvc_codec.training.export import export, load_checkpoint
from dvc_codec.training.statistics import MOST_SEEN
from tests.training.clips import moving_clips

P, B = FrameKind.P, FrameKind.B


@pytest.fixture
def codec() -> PFrameCodec:
    torch.manual_seed(1)
    return build("dvc", {})


def test_exported_weights_start_with_what_was_learned(codec: PFrameCodec, tmp_path: Path) -> None:
    before = {kind: codec.prior_of(kind).statistics() for kind in (P, B)}
    path = tmp_path / "a.safetensors"
    digest = export(codec, moving_clips(4, 5, size=(64, 64)), path, "a")
    stored = load_model(path)
    assert stored.sha256 == digest and len(digest) == 32
    for kind, fresh in before.items():
        after = stored.codec.prior_of(kind).statistics()
        changed = [n for n in fresh if not np.array_equal(fresh[n].counters, after[n].counters)]
        assert "luma" in changed, kind
        assert 0 < int((after["luma"].counters % COUNTS).max()) <= MOST_SEEN
        for name, known in codec.prior_of(kind).statistics().items():
            np.testing.assert_array_equal(known.counters, after[name].counters)
            np.testing.assert_array_equal(known.weights, after[name].weights)
    p, b = (stored.codec.prior_of(kind).statistics()["luma"].counters for kind in (P, B))
    assert not np.array_equal(p, b)


def test_without_clips_they_start_with_the_law(codec: PFrameCodec, tmp_path: Path) -> None:
    export(codec, torch.empty(0), tmp_path / "a.safetensors", "a")
    stored = load_model(tmp_path / "a.safetensors").codec
    for kind in (P, B):
        fresh = build("dvc", {}).prior_of(kind).statistics()
        for name, known in stored.prior_of(kind).statistics().items():
            assert not known.counters.any()
            np.testing.assert_array_equal(known.weights, fresh[name].weights)


def test_weights_of_before_are_refused_in_a_short_line(tmp_path: Path) -> None:
    """They have no B frames, and many names to miss."""
    state = {n: p for n, p in build("dvc", {}).state_dict().items() if "between" not in n}
    path = tmp_path / "old.ckpt"
    torch.save({"codec": state, "ema": state, "step": 1, "skipped": 0}, path)
    with pytest.raises(WrongModel, match="not weights of the network dvc") as refused:
        load_checkpoint(path)
    assert len(str(refused.value).removeprefix(str(path))) < 260
