"""Clips in memory: what the data sets hold, and what is done with damage."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch

from dvc_codec.errors import DamagedFile, FileMissing, NotAVideo
from dvc_codec.training import frames
from dvc_codec.training.clips import load_clips, load_shards, split
from tests.training.clips import moving_clips, write_septuplet, write_shards


def test_shards_come_back_clip_by_clip(tmp_path: Path) -> None:
    clips = moving_clips(3)
    write_shards(clips, tmp_path, per_shard=2)
    assert torch.equal(load_shards(tmp_path), clips)
    assert torch.equal(load_shards(tmp_path, limit=2), clips[:2])
    assert torch.equal(load_shards(tmp_path, limit=1), clips[:1])


def test_a_folder_without_an_index_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match="index"):
        load_shards(tmp_path)


def test_clips_that_cannot_be_read_are_reported_skipped_and_counted(tmp_path: Path) -> None:
    """An index that promises a clip too many; a clip whose bytes are damaged."""
    clips = moving_clips(3)
    write_shards(clips, tmp_path, per_shard=3)
    with (tmp_path / "clips.csv").open("a") as index:
        index.write("0,15,5\n")
    told: list[str] = []
    found = load_clips(tmp_path, report=told.append)
    assert torch.equal(found.pictures, clips) and found.numbers == (0, 1, 2)
    assert len(told) == 1 and "lacks 5 of its 5 pictures" in told[0]
    assert found.skipped == tuple(told)

    shard = tmp_path / "shard-0.mp4"
    with av.open(str(shard)) as opened:
        packets = [(p.pos, p.size) for p in opened.demux(video=0) if p.size]
    content = bytearray(shard.read_bytes())
    at, size = packets[5]  # the second clip's key frame
    content[at + 8 : at + size] = bytes(size - 8)
    shard.write_bytes(content)
    told.clear()
    found = load_clips(tmp_path, report=told.append)
    assert found.numbers == (0, 2) and len(told) == 2
    assert torch.equal(found.pictures, clips[[0, 2]])


def test_nothing_left_is_no_video(tmp_path: Path) -> None:
    write_shards(moving_clips(1), tmp_path)
    (tmp_path / "clips.csv").write_text("shard,first_frame,frames\n0,99,5\n")
    with pytest.raises(NotAVideo, match="none of its 1 clips"):
        load_clips(tmp_path, report=lambda _: None)


def test_an_index_with_other_columns_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DamagedFile, match="shard, first_frame, frames"):
        load_clips(tmp_path)


def test_a_share_is_every_nth_clip(tmp_path: Path) -> None:
    clips = moving_clips(4)
    write_shards(clips, tmp_path, per_shard=2)
    assert torch.equal(load_clips(tmp_path, share=(1, 2)).pictures, clips[1::2])


def test_vimeo_s_tree_is_read_as_its_list_says(tmp_path: Path) -> None:
    """A listed folder that is missing, a truncated picture, a blank line; folders not listed."""
    for name in ("00001/0001", "00001/0002", "00001/0003", "00002/0001"):
        write_septuplet(tmp_path / "sequences" / name, seed=int(name[-1]))
    cut = tmp_path / "sequences/00001/0002/im4.png"
    cut.write_bytes(cut.read_bytes()[:-40])
    lines = ["00001/0001", "", "00001/0002", "00009/0009", "00002/0001"]
    (tmp_path / "sep_trainlist.txt").write_text("\n".join(lines) + "\n")
    told: list[str] = []
    found = load_clips(tmp_path, report=told.append)
    assert found.numbers == (0, 3) and found.pictures.shape == (2, 7, 96, 64)
    assert len(told) == 2 and "im4.png" in told[0] and "00009/0009/im1.png: is missing" in told[1]


def test_real_septuplets_are_read(shared_data: Path) -> None:
    found = load_clips(shared_data / "vimeo_sample")
    assert found.pictures.shape == (2, 7, 384, 448) and not found.skipped


def test_opencv_reads_what_pack_writes_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cv2")
    from data_prep.pack import pack

    write_shards(moving_clips(2, size=(128, 64)), tmp_path / "a", per_shard=2)
    pack(tmp_path / "a", tmp_path / "b", crf=12)
    with_av = load_shards(tmp_path / "b")
    monkeypatch.setattr(frames, "present", lambda name: name != "av")
    assert torch.equal(load_shards(tmp_path / "b"), with_av)
    assert float((with_av.float() - load_shards(tmp_path / "a").float()).abs().mean()) < 4


def test_tars_of_clips_are_read(tmp_path: Path) -> None:
    from data_prep.tars import write_tars

    clips = moving_clips(3, size=(128, 64))
    write_shards(clips, tmp_path / "a", per_shard=3)
    assert write_tars(tmp_path / "a", tmp_path / "b", per_tar=2, crf=1) == 3
    assert len(list((tmp_path / "b").iterdir())) == 2
    found = load_clips(tmp_path / "b")
    assert found.pictures.shape == clips.shape and not found.skipped
    assert float((found.pictures.float() - clips.float()).abs().mean()) < 1.5
    (tmp_path / "b" / "clips-00009.tar").write_bytes(b"no tar" * 100)
    with pytest.raises(DamagedFile, match="cannot be read as tar"):
        load_clips(tmp_path / "b")


def test_split_is_of_one_place() -> None:
    """In a clip whose samples say where they are: luma and U its column, V its row, over 2."""
    x = np.broadcast_to(np.arange(96, dtype=np.uint8), (80, 96))
    u = np.broadcast_to(np.arange(48, dtype=np.uint8) * 2, (40, 48))
    v = np.broadcast_to(np.arange(40, dtype=np.uint8)[:, None], (40, 48))
    planar = np.concatenate((x.ravel(), u.ravel(), v.ravel())).reshape(120, 96)
    luma, chroma = split(torch.from_numpy(planar))
    assert np.array_equal(luma, x) and np.array_equal(chroma[0], u) and np.array_equal(chroma[1], v)
    assert luma.data_ptr() + luma.numel() == chroma.data_ptr()
