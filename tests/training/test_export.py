"""From trained weights to those that ship: what tables start with."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.codec.registry import build
from dvc_codec.container import FrameKind
from dvc_codec.entropy.tables import ALPHABET, ONE
from dvc_codec.errors import WrongModel
from dvc_codec.training.export import count_symbols, export, load_checkpoint
from tests.training.clips import moving_clips

P, B = FrameKind.P, FrameKind.B


@pytest.fixture(scope="module")
def codec() -> PFrameCodec:
    torch.manual_seed(1)
    return build("dvc", {})


def test_symbols_of_p_and_b_frames_are_counted_apart(codec: PFrameCodec) -> None:
    seen = count_symbols(codec, moving_clips(4, 5, size=(64, 64)))
    assert set(seen) == {P, B}
    for kind, planes in seen.items():
        tables = codec.prior_of(kind).tables()
        assert set(planes) == set(tables)
        for name, counts in planes.items():
            assert counts.shape == tables[name].counts.shape and counts.shape[1] == ALPHABET
            assert counts.min() >= 0
        assert planes["luma"].sum() >= ONE * 64  # a picture of 64x64 has so many symbols or more


def test_a_codec_without_b_frames_has_p_frames_counted_only() -> None:
    alone = PFrameCodec(prior=PFrameCodec().prior)
    assert set(count_symbols(alone, moving_clips(1, 3, size=(64, 64)))) == {P}


def test_exported_tables_start_with_what_was_seen(codec: PFrameCodec, tmp_path: Path) -> None:
    before = {kind: codec.prior_of(kind).tables() for kind in (P, B)}
    assert (
        len(export(codec, moving_clips(4, 5, size=(64, 64)), tmp_path / "a.safetensors", "a")) == 32
    )
    for kind, tables in before.items():
        after = codec.prior_of(kind).tables()
        changed = [n for n in tables if not np.array_equal(tables[n].counts, after[n].counts)]
        assert "luma" in changed, kind
    luma = [codec.prior_of(kind).tables()["luma"].counts for kind in (P, B)]
    assert not np.array_equal(*luma)


def test_weights_of_before_are_refused_in_a_short_line(tmp_path: Path) -> None:
    """They have no B frames, and many names to miss."""
    state = {n: p for n, p in build("dvc", {}).state_dict().items() if "between" not in n}
    path = tmp_path / "old.ckpt"
    torch.save({"codec": state, "ema": state, "step": 1, "skipped": 0}, path)
    with pytest.raises(WrongModel, match="not weights of the network dvc") as refused:
        load_checkpoint(path)
    assert len(str(refused.value).removeprefix(str(path))) < 260
