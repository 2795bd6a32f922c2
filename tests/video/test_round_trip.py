"""What is written comes back: samples to the bit, and what the file says about them."""

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from dvc_codec.video import (
    ColourTags,
    Frame,
    Picture,
    RawFormat,
    VideoInfo,
    open_video,
    open_writer,
)
from dvc_codec.video.info import CHROMA_CENTRE, CHROMA_LEFT, FULL_RANGE, LIMITED_RANGE
from tests.moving import moving_square, noise, panned_texture

NTSC = Fraction(30000, 1001)
BT601 = ColourTags(LIMITED_RANGE, primaries=6, transfer=6, matrix=6, chroma_location=CHROMA_LEFT)
BT709_FULL = ColourTags(FULL_RANGE, primaries=1, transfer=1, matrix=1, chroma_location=CHROMA_LEFT)
BT2020 = ColourTags(LIMITED_RANGE, primaries=9, transfer=16, matrix=9, chroma_location=CHROMA_LEFT)


def info_for(pictures: list[Picture], **changes: object) -> VideoInfo:
    info = VideoInfo(
        width=pictures[0].width,
        height=pictures[0].height,
        frame_rate=NTSC,
        time_base=Fraction(1, 30000),
        sample_aspect_ratio=Fraction(16, 15),
        colour=BT601,
    )
    return replace(info, **changes)


def write(
    path: Path, pictures: list[Picture], info: VideoInfo, lossless: bool | None = None
) -> None:
    with open_writer(path, info, lossless=lossless) as writer:
        for index, picture in enumerate(pictures):
            writer.write(picture, index * info.frame_ticks)


def read(path: Path, **options: object) -> tuple[VideoInfo, list[Frame]]:
    with open_video(path, **options) as reader:
        return reader.info, list(reader)


def assert_same(frames: list[Frame], pictures: list[Picture]) -> None:
    assert len(frames) == len(pictures)
    for index, (frame, picture) in enumerate(zip(frames, pictures, strict=True)):
        assert frame.picture.equals(picture), f"frame {index}"


@pytest.mark.parametrize("suffix", [".y4m", ".mkv", ".yuv"])
@pytest.mark.parametrize("size", [(64, 48), (33, 17), (16, 9), (1, 1), (130, 2)])
def test_samples_come_back_to_the_bit(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    pictures = noise(size=size, frames=3)
    path = tmp_path / f"video{suffix}"
    write(path, pictures, info_for(pictures))
    raw = RawFormat(*size) if suffix == ".yuv" else None
    assert_same(read(path, raw=raw)[1], pictures)


@pytest.mark.parametrize("colour", [BT601, BT709_FULL])
def test_a_lossless_mp4_comes_back_to_the_bit(tmp_path: Path, colour: ColourTags) -> None:
    pictures = noise(frames=3)
    write(tmp_path / "video.mp4", pictures, info_for(pictures, colour=colour), lossless=True)
    info, frames = read(tmp_path / "video.mp4")
    assert info.colour == colour
    assert_same(frames, pictures)


def test_full_range_stays_full_and_its_samples_untouched(tmp_path: Path) -> None:
    pictures = noise(frames=2)
    for suffix in (".y4m", ".mkv"):
        path = tmp_path / f"video{suffix}"
        write(path, pictures, info_for(pictures, colour=BT709_FULL))
        info, frames = read(path)
        assert info.colour.range == FULL_RANGE
        assert_same(frames, pictures)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("colour", [BT601, BT709_FULL, BT2020, ColourTags()])
def test_what_the_file_says_survives(
    tmp_path: Path, suffix: str, lossless: bool, colour: ColourTags
) -> None:
    pictures = moving_square(frames=6)
    path = tmp_path / f"video{suffix}"
    write(path, pictures, info_for(pictures, colour=colour, rotation=90), lossless)
    info, frames = read(path)
    if colour.chroma_location == 0:  # what is not said is left, for H.264
        info = replace(info, colour=replace(info.colour, chroma_location=0))
    assert info.colour == colour
    assert info.frame_rate == NTSC
    assert info.sample_aspect_ratio == Fraction(16, 15)
    assert info.rotation == 90
    assert info.frame_count == len(frames) == 6


@pytest.mark.parametrize("location", [CHROMA_LEFT, CHROMA_CENTRE, 3])
@pytest.mark.parametrize("suffix", [".y4m", ".mkv", ".mp4"])
def test_the_place_of_chroma_survives(tmp_path: Path, suffix: str, location: int) -> None:
    pictures = moving_square(frames=2)
    path = tmp_path / f"video{suffix}"
    write(path, pictures, info_for(pictures, colour=replace(BT601, chroma_location=location)))
    assert read(path)[0].colour.chroma_location == location


def test_y4m_keeps_rate_shape_and_range(tmp_path: Path) -> None:
    pictures = moving_square(size=(33, 17), frames=2)
    path = tmp_path / "video.y4m"
    write(path, pictures, info_for(pictures))
    assert path.read_bytes().splitlines()[0] == (
        b"YUV4MPEG2 W33 H17 F30000:1001 Ip A16:15 C420mpeg2 XCOLORRANGE=LIMITED"
    )
    info = read(path)[0]
    assert (info.frame_rate, info.sample_aspect_ratio) == (NTSC, Fraction(16, 15))
    assert info.colour.range == LIMITED_RANGE


@pytest.mark.parametrize("lossless", [True, False])
def test_mp4_keeps_uneven_times_exactly(tmp_path: Path, lossless: bool) -> None:
    pictures = moving_square(frames=6)
    times = [600, 1601, 2602, 9000, 9001, 12345]
    info = info_for(pictures)
    with open_writer(tmp_path / "video.mp4", info, lossless=lossless) as writer:
        for picture, pts in zip(pictures, times, strict=True):
            writer.write(picture, pts)
    found, frames = read(tmp_path / "video.mp4")
    assert [frame.pts * found.time_base for frame in frames] == [t * info.time_base for t in times]


def test_mkv_keeps_uneven_times_to_the_millisecond(tmp_path: Path) -> None:
    pictures = moving_square(frames=4)
    times = [600, 1601, 9000, 12345]
    info = info_for(pictures)
    with open_writer(tmp_path / "video.mkv", info) as writer:
        for picture, pts in zip(pictures, times, strict=True):
            writer.write(picture, pts)
    found, frames = read(tmp_path / "video.mkv")
    for frame, pts in zip(frames, times, strict=True):
        assert abs(frame.pts * found.time_base - pts * info.time_base) <= Fraction(1, 2000)


def test_an_mp4_for_viewing_looks_the_same(tmp_path: Path) -> None:
    pictures = panned_texture(frames=4)
    write(tmp_path / "video.mp4", pictures, info_for(pictures))
    for frame, picture in zip(read(tmp_path / "video.mp4")[1], pictures, strict=True):
        error = frame.picture.y.astype(float) - picture.y
        assert (error**2).mean() < 6.5  # 40 dB


def test_an_odd_size_is_rounded_up_for_viewing(tmp_path: Path) -> None:
    pictures = moving_square(size=(33, 17), frames=2)
    write(tmp_path / "video.mp4", pictures, info_for(pictures))
    info, frames = read(tmp_path / "video.mp4")
    assert (info.width, info.height) == (34, 18)
    last = frames[0].picture.y[:, -2:].astype(int)
    assert abs(last[:, 0] - last[:, 1]).max() <= 4


def test_a_real_file_passes_through_two_processes(tmp_path: Path, flower: Path) -> None:
    program = (
        "import sys; from dvc_codec.video import open_video, open_writer\n"
        "with open_video(sys.argv[1], frames=12) as r, open_writer(sys.argv[2], r.info) as w:\n"
        "    for frame in r: w.write(frame.picture, frame.pts)\n"
    )
    y4m = subprocess.run(
        [sys.executable, "-c", program, flower, "-"], check=True, capture_output=True
    ).stdout
    subprocess.run(
        [sys.executable, "-c", program, "-", tmp_path / "flower.mkv"], check=True, input=y4m
    )
    info, frames = read(tmp_path / "flower.mkv")
    _, source = read(flower, frames=12)
    assert_same(frames, [frame.picture for frame in source])
    assert (info.frame_rate, info.colour.range) == (NTSC, LIMITED_RANGE)
