"""Tar shards read as training goes on: every clip once a pass, whoever reads it."""

import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from data_prep.tars import write_tars
from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.errors import DamagedFile, FileMissing, NotAVideo, OutOfRange
from dvc_codec.training.clips import load_clips
from dvc_codec.training.data import ReplayData
from dvc_codec.training.replay import Draw
from dvc_codec.training.tars import TarStream, last_members, members_of, tars_in
from tests.training.clips import moving_clips, write_shards

COUNT = 7


@pytest.fixture(scope="module")
def tars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven clips, each another picture, in four tars of two."""
    folder = tmp_path_factory.mktemp("tars")
    clips = moving_clips(COUNT, frames=4, size=(64, 64))
    write_shards(clips, folder / "clips", per_shard=COUNT)
    assert write_tars(folder / "clips", folder / "tars", per_tar=2, crf=4) == COUNT
    return folder / "tars"


def known(folder: Path) -> dict[bytes, int]:
    pictures = load_clips(folder).pictures
    found = {clip.numpy().tobytes(): number for number, clip in enumerate(pictures)}
    assert len(found) == len(pictures)
    return found


def passes(stream: TarStream, lane: int, count: int, names: dict[bytes, int]) -> list[int]:
    return [names[stream.take(lane)[1].numpy().tobytes()] for _ in range(count)]


@pytest.mark.parametrize("lanes", [1, 2, 3, 6])
def test_lanes_share_every_clip_once_a_pass(tars: Path, lanes: int) -> None:
    """Whole tars where there are enough for all lanes, else single clips; each lane on a process
    of its own, or all on one, is the same.
    """
    names = known(tars)
    apart = {lane: TarStream(tars, [lane], lanes, seed=5) for lane in range(lanes)}
    together = TarStream(tars, range(lanes), lanes, seed=5)
    first, second = [], []
    for lane, stream in apart.items():
        part = len(stream.clips[lane])
        here = passes(stream, lane, 2 * part, names)
        assert here == passes(together, lane, 2 * part, names)
        first += here[:part]
        second += here[part:]
        if lanes <= 4:
            assert len({m.path for m in stream.clips[lane]}) <= -(-4 // lanes)
    assert Counter(first) == Counter(second) == Counter(range(COUNT))
    assert lanes == 6 or first != second


def test_what_is_held_out_no_lane_gets(tars: Path) -> None:
    names = known(tars)
    held = last_members(tars_in(tars), 3)
    assert [m.name for m in held] == ["00000004.mp4", "00000005.mp4", "00000006.mp4"]
    stream = TarStream(tars, [0, 1], 2, seed=5, held_out=3)
    found = [n for lane in (0, 1) for n in passes(stream, lane, len(stream.clips[lane]), names)]
    assert sorted(found) == [0, 1, 2, 3]
    with pytest.raises(OutOfRange, match="8 clips held out of 7"):
        last_members(tars_in(tars), 8)
    with pytest.raises(OutOfRange, match="no clip for lane"):
        TarStream(tars, [0, 1], 2, seed=5, held_out=7)


def test_it_goes_on_where_it_was(tars: Path) -> None:
    names = known(tars)
    stream = TarStream(tars, [1], 2, seed=5)
    place, _ = stream.take(1)
    kept = stream.state_dict()
    expected = passes(stream, 1, 6, names)
    other = TarStream(tars, [1], 2, seed=5)
    assert other.load_state_dict(kept)
    assert torch.equal(other.at(1, place), stream.at(1, place))
    assert passes(other, 1, 6, names) == expected
    assert not TarStream(tars, [1], 2, seed=5, held_out=3).load_state_dict(kept)


def test_clips_that_cannot_be_used_are_named_once(tars: Path, tmp_path: Path) -> None:
    """One whose bytes are damaged, one of another size."""
    clips = moving_clips(1, frames=4, size=(96, 64))
    write_shards(clips, tmp_path / "clips")
    write_tars(tmp_path / "clips", tmp_path / "tars")
    (tmp_path / "tars" / "clips-00000.tar").rename(tmp_path / "tars" / "clips-00001.tar")
    whole = (tars / "clips-00000.tar").read_bytes()
    member = members_of(tars / "clips-00000.tar")[0]
    damaged = bytearray(whole)
    damaged[member.offset : member.offset + member.size] = bytes(member.size)
    (tmp_path / "tars" / "clips-00000.tar").write_bytes(damaged)
    told: list[str] = []
    stream = TarStream(tmp_path / "tars", [0], 1, seed=5, report=told.append)
    found = {stream.take(0)[1].shape for _ in range(4)}
    assert len(found) == 1 and len(told) == len(stream.skipped) == 2
    assert any("00000000.mp4" in line for line in told)
    assert any("is 4 pictures of" in line for line in told)


def test_tars_without_a_clip_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match=r"no \.tar file"):
        TarStream(tmp_path, [0], 1, seed=1)
    (tmp_path / "a.tar").write_bytes(b"no tar" * 100)
    with pytest.raises(DamagedFile, match="cannot be read as tar"):
        TarStream(tmp_path, [0], 1, seed=1)
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        info = tarfile.TarInfo("a.mp4")
        tar.addfile(info)
    with pytest.raises(NotAVideo, match="none of 1 clips"):
        TarStream(tmp_path, [0], 1, seed=1, report=lambda _: None)


def streaming(tars: Path, **other: Any) -> ReplayData:
    settings: dict[str, Any] = {
        "batch": 2,
        "rollout": 1,
        "size": 64,
        "slots": 4,
        "lanes": 2,
        "draw": Draw(longest=2),
        "held_out": 1,
        "validation_frames": 2,
        "stream": True,
    }
    return ReplayData(tars, **{**settings, **other})


def begun(data: ReplayData, rank: int = 0, processes: int = 1) -> ReplayData:
    data.setup("fit")
    data.begin(PFrameCodec().start, torch.device("cpu"), rank, processes)
    return data


def test_pools_draw_the_same_on_one_process_or_two_and_after_a_stop(tars: Path) -> None:
    whole = begun(streaming(tars))
    halves = [begun(streaming(tars), rank, 2) for rank in range(2)]
    seen: set[tuple[int, int]] = set()
    for step in range(8):
        together, apart = whole.pool.take(2), [half.pool.take(1) for half in halves]
        for number, picture in enumerate(together.pictures):
            parts = torch.cat([taken.pictures[number].luma for taken in apart])
            assert torch.equal(picture.luma, parts)
        seen |= {(n // 2, place) for n, place in enumerate(whole.pool.streamed) if place >= 0}
        whole.pool.put(together, together.state)
        for rank, taken in enumerate(apart):
            halves[rank].pool.put(taken, taken.state)
            if step == 4:
                again = begun(streaming(tars), rank, 2)
                assert again.pool.load_state_dict(halves[rank].pool.state_dict())
                halves[rank] = again
    for lane in range(2):  # nothing that the stream gave was passed over
        places = sorted(place for at, place in seen if at == lane)
        assert places == list(range(len(places))) and len(places) > 2
    other = begun(streaming(tars, held_out=2))
    assert not other.pool.load_state_dict(whole.pool.state_dict())


def test_a_stream_has_neither_bank_nor_limit(tars: Path) -> None:
    with pytest.raises(OutOfRange, match=r"data\.stream"):
        streaming(tars, clips=3)
