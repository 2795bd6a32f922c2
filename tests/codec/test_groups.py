"""Groups coded side by side: the same file, whoever codes them."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from dvc_codec.codec.encoder import Summary, encode_file
from dvc_codec.codec.frame_encoder import EncodedFrame, FrameEncoder
from dvc_codec.codec.model import Model, load_model
from dvc_codec.container import Place
from dvc_codec.errors import DamagedFile
from dvc_codec.video import Frame, VideoInfo
from tests.files import write_video
from tests.moving import moving_square

GOP = 3


@pytest.fixture(scope="module")
def model(shaken_weights: Path) -> Model:
    return load_model(shaken_weights)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("groups") / "in.y4m", moving_square(frames=11))


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def expected(source: Path, model: Model, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """One thread, a group after the other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    target = tmp_path_factory.mktemp("one") / "v.dvc"
    encode_file(source, target, gop=GOP, scene_cuts=False, model=model)
    torch.set_num_threads(before)
    return target.read_bytes()


def test_the_file_is_that_of_one_thread(
    source: Path, model: Model, expected: bytes, threads: int, tmp_path: Path
) -> None:
    seen: list[int] = []

    def progress(summary: Summary, info: VideoInfo) -> None:
        seen.append(summary.frames)

    summary = encode_file(
        source,
        tmp_path / "v.dvc",
        gop=GOP,
        scene_cuts=False,
        model=model,
        progress=progress,
        recon=tmp_path / "r.y4m",
    )
    assert (tmp_path / "v.dvc").read_bytes() == expected
    assert seen == [*range(1, 12)] and summary.gops == 4
    assert torch.get_num_threads() == threads


def test_several_groups_are_under_way(
    source: Path, model: Model, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads wait for each other at their first I frames: they would for ever, were it one."""
    together, own, met = threading.Barrier(threads, timeout=60), FrameEncoder.encode, []

    def encode(self: FrameEncoder, frame: Frame, place: Place, *rest: Any) -> EncodedFrame:
        if place.past is None and len(met) < threads:
            met.append(together.wait())
        return own(self, frame, place, *rest)

    monkeypatch.setattr(FrameEncoder, "encode", encode)
    encode_file(source, tmp_path / "v.dvc", gop=GOP, scene_cuts=False, model=model)
    assert sorted(met) == [*range(threads)]


def test_an_error_in_a_group_is_the_encoder_s(
    source: Path, model: Model, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = FrameEncoder.encode

    def encode(self: FrameEncoder, frame: Frame, place: Place, *rest: Any) -> EncodedFrame:
        if frame.pts == 4:
            raise DamagedFile("frame 4")
        return own(self, frame, place, *rest)

    monkeypatch.setattr(FrameEncoder, "encode", encode)
    with pytest.raises(DamagedFile, match="frame 4"):
        encode_file(source, tmp_path / "v.dvc", gop=GOP, scene_cuts=False, model=model)
    assert not [*tmp_path.iterdir()]


def test_a_run_that_was_stopped_goes_on(
    source: Path, model: Model, expected: bytes, threads: int, tmp_path: Path
) -> None:
    target = tmp_path / "v.dvc"

    def stop(summary: Summary, info: VideoInfo) -> None:
        if summary.frames == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_file(
            source, target, gop=GOP, scene_cuts=False, model=model, resume=True, progress=stop
        )
    assert not target.exists()
    summary = encode_file(source, target, gop=GOP, scene_cuts=False, model=model, resume=True)
    assert target.read_bytes() == expected and summary.resumed == 6


def test_whoever_stops_stops_all_groups(
    source: Path, model: Model, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while the first group's last frames are waited for."""
    own, coded = FrameEncoder.encode, []

    def encode(self: FrameEncoder, frame: Frame, place: Place, *rest: Any) -> EncodedFrame:
        coded.append(frame.pts)
        if frame.pts:
            time.sleep(0.3)  # so that all frames are given before the second one is coded
        return own(self, frame, place, *rest)

    def full(summary: Summary, info: VideoInfo) -> None:
        raise DamagedFile("no space left")

    monkeypatch.setattr(FrameEncoder, "encode", encode)
    with pytest.raises(DamagedFile, match="no space"):
        encode_file(source, tmp_path / "v.dvc", gop=6, scene_cuts=False, model=model, progress=full)
    time.sleep(1.5)
    assert len(coded) <= 2 * threads and not [*tmp_path.iterdir()]
