"""Clips in memory: what the shards hold, and crops of them whose chroma fits their luma."""

from pathlib import Path

import pytest
import torch

from dvc_codec.errors import FileMissing, NotAVideo
from dvc_codec.training.clips import crop, load_shards
from tests.training.clips import moving_clips, write_shards


def test_shards_come_back_clip_by_clip(tmp_path: Path) -> None:
    clips = moving_clips(3)
    write_shards(clips, tmp_path, per_shard=2)
    assert torch.equal(load_shards(tmp_path), clips)
    assert torch.equal(load_shards(tmp_path, limit=2), clips[:2])
    assert torch.equal(load_shards(tmp_path, limit=1), clips[:1])


def test_a_folder_without_an_index_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match="index"):
        load_shards(tmp_path)


def test_a_shard_that_is_too_short_is_no_video(tmp_path: Path) -> None:
    write_shards(moving_clips(1), tmp_path)
    with (tmp_path / "clips.csv").open("a") as index:
        index.write("0,5,5\n")
    with pytest.raises(NotAVideo, match="5 frames, but its index says 10"):
        load_shards(tmp_path)


def test_crops_of_luma_and_chroma_are_of_one_place() -> None:
    """In a clip whose samples say where they are: luma and U its column, V its row, over 2."""
    y, x = torch.meshgrid(torch.arange(80), torch.arange(96), indexing="ij")
    u, v = (x[::2, ::2] // 2).reshape(-1), (y[::2, ::2] // 2).reshape(-1)
    frame = torch.cat(((x // 2).reshape(-1), u, v)).to(torch.uint8).view(1, 1, 120, 96)
    luma, chroma = crop(frame, 0, 0, top=10, left=22, size=64)
    assert luma.shape == (64, 64) and chroma.shape == (2, 32, 32)
    assert torch.equal(luma[::2, ::2], chroma[0])
    assert int(luma[0, 0]) == 11 and int(chroma[1, 0, 0]) == 5 and int(chroma[1, -1, 0]) == 36


def test_crops_reach_every_corner() -> None:
    clips = moving_clips(1, 1)
    luma, chroma = crop(clips, 0, 0, top=16, left=32, size=64)
    assert luma[-1, -1] == clips[0, 0, 79, 95]
    assert chroma[1, -1, -1] == clips[0, 0, -1, -1]
