"""Which frames come out of a file, as what, and what happens when there are none."""

import itertools
import os
import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from dvc_codec.errors import FileMissing, NotAVideo, OutOfRange, UnsupportedVideo, UsageError
from dvc_codec.video import Frame, RawFormat, VideoInfo, open_video, open_writer
from dvc_codec.video.info import CHROMA_CENTRE, CHROMA_LEFT, FULL_RANGE, LIMITED_RANGE
from tests.moving import moving_square, panned_texture


def encode(path: Path, frames: list[av.VideoFrame], encoder: str, **options: str) -> Path:
    """A file made by FFmpeg alone, at 25 frames a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=25, options=options)
        stream.width, stream.height = frames[0].width, frames[0].height
        stream.pix_fmt = frames[0].format.name
        stream.codec_context.color_range = frames[0].color_range
        for index, frame in enumerate(frames):
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def filled(pix_fmt: str, *planes: np.ndarray, colour_range: int = 1) -> av.VideoFrame:
    """A frame with the given samples in its planes."""
    height, width = planes[0].shape[:2]
    frame = av.VideoFrame(width, height, pix_fmt)
    for plane, samples in zip(frame.planes, planes, strict=True):
        rows = np.frombuffer(memoryview(plane), samples.dtype).reshape(plane.height, -1)
        flat = samples.reshape(plane.height, -1)
        rows[:, : flat.shape[1]] = flat
    frame.color_range = colour_range
    return frame


def numbered(path: Path, frames: int = 150, **options: str) -> Path:
    """A video whose frame n has luma 16 + n everywhere, in H.264 with B frames and long GOPs."""
    chroma = np.full((16, 16), 128, np.uint8)
    pictures = [
        filled("yuv420p", np.full((32, 32), 16 + n, np.uint8), chroma, chroma)
        for n in range(frames)
    ]
    return encode(path, pictures, "libx264", qp="0", g="60", bf="3", **options)


def numbers(frames: list[Frame]) -> list[int]:
    return [int(frame.picture.y[5, 5]) - 16 for frame in frames]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".y4m", ".h264"])
@pytest.mark.parametrize("first", [0, 1, 24, 59, 60, 61, 97, 149])
def test_start_is_exact_to_the_frame(tmp_path: Path, suffix: str, first: int) -> None:
    path = numbered(tmp_path / "video.mp4")
    if suffix in (".ts", ".h264"):
        path = numbered(tmp_path / f"video{suffix}")
    elif suffix != ".mp4":
        target = tmp_path / f"v{suffix}"
        with open_video(path) as reader, open_writer(target, reader.info) as writer:
            for frame in reader:
                writer.write(frame.picture, frame.pts)
        path = target
    with open_video(path, start=first / 25, frames=3) as reader:
        assert numbers(list(reader)) == list(range(150))[first : first + 3]


@pytest.mark.parametrize(
    ("start", "first"), [(1.0, 25), (1.019, 25), (1.021, 26), (0.981, 25), (4.019, 100)]
)
def test_start_takes_the_frame_nearest(tmp_path: Path, start: float, first: int) -> None:
    with open_video(numbered(tmp_path / "video.mp4"), start=start, frames=1) as reader:
        assert numbers(list(reader)) == [first]


def test_open_gops_start_exactly_too(tmp_path: Path) -> None:
    path = numbered(tmp_path / "video.mp4", **{"x264-params": "open-gop=1:keyint=20:bframes=3"})
    for first in range(30, 90):
        with open_video(path, start=first / 25, frames=2) as reader:
            assert numbers(list(reader)) == [first, first + 1]


def test_start_in_a_real_file(flower: Path) -> None:
    with open_video(flower) as reader:
        pictures = [frame.picture for frame in reader]
    assert len(pictures) == 150
    with open_video(flower, start=100 * 1001 / 30000, frames=5) as reader:
        for index, frame in enumerate(reader):
            assert frame.picture.equals(pictures[100 + index])


def test_all_evaluation_sequences_are_read_whole(shared_data: Path) -> None:
    lengths = {"BasketballPass": 96, "aspen": 31, "calendar": 41, "city": 34}
    for name, length in lengths.items():
        with open_video(shared_data / "eval" / f"{name}.mp4", convert=False) as reader:
            assert sum(1 for _ in reader) == length == reader.info.frame_count
            assert reader.damaged == 0


def test_ten_bits_are_rounded_to_eight(tmp_path: Path) -> None:
    luma = np.arange(64 * 48, dtype=np.uint16).reshape(48, 64) % 1024
    chroma = np.full((24, 32), 514, np.uint16)
    path = encode(tmp_path / "v.mkv", [filled("yuv420p10le", luma, chroma, chroma)], "ffv1")
    with open_video(path) as reader:
        picture = next(iter(reader)).picture
        assert reader.converted_from == reader.info.pix_fmt == "yuv420p10le"
        assert reader.info.colour.range == LIMITED_RANGE
    assert abs(picture.y - luma / 4).max() <= 1
    assert set(np.unique(picture.u)) <= {128, 129}


@pytest.mark.parametrize("pix_fmt", ["yuv444p", "yuv422p"])
@pytest.mark.parametrize("colour_range", [LIMITED_RANGE, FULL_RANGE])
def test_chroma_is_resampled_to_the_left(tmp_path: Path, pix_fmt: str, colour_range: int) -> None:
    """A chroma ramp over x: its value at luma column 2 j is what belongs at chroma column j."""
    luma = np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))
    ramp = np.tile(np.arange(64, dtype=np.uint8) * 3 + 20, (48, 1))
    chroma = ramp if pix_fmt == "yuv444p" else np.ascontiguousarray(ramp[:, ::2])
    frame = filled(pix_fmt, luma, chroma, chroma, colour_range=colour_range)
    with open_video(encode(tmp_path / "v.mkv", [frame], "ffv1")) as reader:
        picture = next(iter(reader)).picture
        assert reader.converted_from == pix_fmt
        assert reader.info.colour.range == colour_range
        assert reader.info.colour.chroma_location == CHROMA_LEFT
    assert np.array_equal(picture.y, luma)  # no range conversion either
    inner = slice(2, -2)
    assert abs(picture.u[:, inner].astype(int) - ramp[::2, ::2][:, inner]).max() <= 1


def test_rgb_becomes_bt709_in_limited_range(tmp_path: Path) -> None:
    red, white, black = (255, 0, 0), (255, 255, 255), (0, 0, 0)
    expectations = {red: (63, 102, 240), white: (235, 128, 128), black: (16, 128, 128)}
    for colour, expected in expectations.items():
        rgb = np.tile(np.array(colour, np.uint8), (48, 64, 1))
        path = encode(tmp_path / "v.avi", [filled("bgr24", rgb[..., ::-1])], "rawvideo")
        with open_video(path) as reader:
            picture = next(iter(reader)).picture
            assert (reader.info.colour.range, reader.info.colour.matrix) == (LIMITED_RANGE, 1)
        found = [int(plane[10, 10]) for plane in picture.planes]
        assert np.abs(np.subtract(found, expected)).max() <= 1


def test_grey_keeps_its_samples(tmp_path: Path) -> None:
    luma = np.arange(33 * 17, dtype=np.uint32).astype(np.uint8).reshape(17, 33)
    with open_video(encode(tmp_path / "v.mkv", [filled("gray", luma)], "ffv1")) as reader:
        picture = next(iter(reader)).picture
    assert np.array_equal(picture.y, luma)
    assert np.all(picture.u == 128) and np.all(picture.v == 128)


def test_motion_jpeg_is_full_range_420(tmp_path: Path) -> None:
    square = moving_square(frames=1)[0]
    frame = filled("yuvj420p", *square.planes, colour_range=FULL_RANGE)
    with open_video(encode(tmp_path / "v.avi", [frame], "mjpeg"), convert=False) as reader:
        assert reader.converted_from is None
        assert reader.info.colour.range == FULL_RANGE
        assert reader.info.colour.chroma_location == CHROMA_CENTRE
        assert abs(next(iter(reader)).picture.y.astype(int) - square.y).mean() < 3


def test_conversion_can_be_refused(tmp_path: Path) -> None:
    planes = [np.full((48, 64), 100, np.uint8)] * 3
    path = encode(tmp_path / "v.mkv", [filled("yuv444p", *planes)], "ffv1")
    with pytest.raises(UnsupportedVideo, match=r"v\.mkv.*yuv444p.*yuv420p"):
        open_video(path, convert=False)


def test_opaque_alpha_is_dropped_and_transparency_refused(tmp_path: Path) -> None:
    rgba = np.full((48, 64, 4), 255, np.uint8)
    with open_video(encode(tmp_path / "v.mkv", [filled("bgra", rgba)], "ffv1")) as reader:
        assert np.all(next(iter(reader)).picture.y == 235)
    rgba[20, 30, 3] = 254
    path = encode(tmp_path / "v.mkv", [filled("bgra", rgba)], "ffv1")
    with pytest.raises(UnsupportedVideo, match="transparent"):
        open_video(path)


def test_a_raw_file_needs_its_size(tmp_path: Path) -> None:
    path = tmp_path / "v.yuv"
    pictures = panned_texture(size=(33, 17), frames=5)
    path.write_bytes(b"".join(picture.to_bytes() for picture in pictures))
    with pytest.raises(UsageError, match="size"):
        open_video(path)
    with open_video(path, raw=RawFormat(33, 17, Fraction(50)), start=0.04) as reader:
        assert reader.info.frame_rate == 50
        for frame, picture in zip(reader, pictures[2:], strict=True):
            assert frame.picture.equals(picture)
    with pytest.raises(NotAVideo, match="33x16"):
        open_video(path, raw=RawFormat(33, 16))
    with pytest.raises(OutOfRange):
        open_video(path, raw=RawFormat(0, 16))
    with pytest.raises(OutOfRange, match="pixel format"):
        open_video(path, raw=RawFormat(33, 17, pix_fmt="yuv999"))


def test_pictures_outlive_their_reader(tmp_path: Path) -> None:
    with open_video(numbered(tmp_path / "v.mp4", 20)) as reader:
        frames = list(reader)
    assert numbers(frames) == list(range(20))


def test_names_that_look_like_something_else_are_files(tmp_path: Path) -> None:
    made = numbered(tmp_path / "v.mp4", 3)
    for name in ("http:v.mp4", "a%03d.mp4", "-x.mp4", "ein Bär.mp4", "a:b.mp4"):
        shutil.copy(made, tmp_path / name)
        with open_video(tmp_path / name) as reader:
            assert numbers(list(reader)) == [0, 1, 2]


def test_bad_inputs_have_an_error_each(tmp_path: Path) -> None:
    missing = tmp_path / "none.mp4"
    with pytest.raises(FileMissing, match=r"none\.mp4"):
        open_video(missing)
    with pytest.raises(FileMissing, match="folder"):
        open_video(tmp_path)
    for name, content in {
        "empty.mp4": b"",
        "text.txt": b"Dear Sir or Madam,\n" * 100,
        "noise.mp4": np.random.default_rng(0).bytes(5000),
        "cut.mp4": numbered(tmp_path / "v.mp4", 20).read_bytes()[:400],
        "header.y4m": b"YUV4MPEG2 W16 H16 F25:1 C420\n",
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(NotAVideo, match=name) as caught:
            open_video(path)
        assert "\n" not in str(caught.value)
        assert "expected" in str(caught.value)


def test_sound_alone_is_not_a_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        silence.rate = 8000
        container.mux(stream.encode(silence))
    with pytest.raises(NotAVideo, match="audio"):
        open_video(path)


def test_a_cover_is_not_a_video(tmp_path: Path) -> None:
    picture = encode(
        tmp_path / "cover.png", [filled("rgb24", np.zeros((8, 8, 3), np.uint8))], "png"
    )
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        sound = container.add_stream("aac", rate=8000)
        with av.open(str(picture)) as source:
            cover = container.add_stream_from_template(source.streams.video[0])
            cover.disposition = Disposition.attached_pic
            packet = next(source.demux())
            packet.stream = cover
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            silence.rate = 8000
            container.mux(sound.encode(silence))
            container.mux(packet)
            container.mux(sound.encode(None))
    with pytest.raises(NotAVideo, match="without a video stream"):
        open_video(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_missing(tmp_path: Path) -> None:
    path = numbered(tmp_path / "v.mp4", 3)
    path.chmod(0)
    with pytest.raises(FileMissing, match=r"[Pp]ermission"):
        open_video(path)


def test_numbers_out_of_range(tmp_path: Path) -> None:
    path = numbered(tmp_path / "v.mp4", 10)
    for start in (-1.0, float("nan"), float("inf"), 5.0):
        with pytest.raises(OutOfRange, match="start"):
            open_video(path, start=start)
    with pytest.raises(OutOfRange, match="frames"):
        open_video(path, frames=0)


def test_damage_is_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    whole = numbered(tmp_path / "v.ts", 60, **{"x264-params": "keyint=10"}).read_bytes()
    broken = bytearray(whole)
    for at in range(len(whole) // 3, len(whole) // 2, 50):
        broken[at] ^= 0x5A
    path = tmp_path / "broken.ts"
    path.write_bytes(broken)
    with open_video(path) as reader:
        frames = list(reader)
        assert reader.damaged > 0
    assert len(frames) > 30
    assert all(a.pts < b.pts for a, b in itertools.pairwise(frames))


def test_a_change_of_size_on_the_way_is_refused(tmp_path: Path) -> None:
    first = numbered(tmp_path / "a.h264", 5).read_bytes()
    square = moving_square(frames=5, size=(48, 64))
    frames = [filled("yuv420p", *picture.planes) for picture in square]
    second = encode(tmp_path / "b.h264", frames, "libx264").read_bytes()
    (tmp_path / "both.h264").write_bytes(first + second)
    with pytest.raises(UnsupportedVideo, match="size"), open_video(tmp_path / "both.h264") as both:
        list(both)


def test_frame_ticks_is_one_frame() -> None:
    info = VideoInfo(16, 16, Fraction(30000, 1001), Fraction(1, 30000))
    assert info.frame_ticks == 1001
    assert VideoInfo(16, 16, Fraction(50), Fraction(1, 25)).frame_ticks == 1
