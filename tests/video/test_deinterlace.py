"""Interlaced video becomes progressive frames, not frames with combs."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dvc_codec.cli.main import main
from dvc_codec.codec.frame_encoder import squared_error
from dvc_codec.errors import UnsupportedVideo
from dvc_codec.video import Picture, open_video
from tests.moving import panned_texture

SIZE = (96, 64)
FRAMES = 8


def weave(top: Picture, bottom: Picture) -> Picture:
    """A frame of two fields: even rows of one picture, odd rows of the other."""
    planes = []
    for even, odd in zip(top.planes, bottom.planes, strict=True):
        whole = even.copy()
        whole[1::2] = odd[1::2]
        planes.append(whole)
    return Picture(*planes)


def fields(shift: float = 2.0) -> list[Picture]:
    """Leaning bars that move, at 50 pictures a second: two to a frame of 25."""
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    grey = np.full((SIZE[1] // 2, SIZE[0] // 2), 128, np.uint8)
    waves = (128 + 80 * np.sin((x - shift * t) / 4 + y / 15) for t in range(2 * FRAMES))
    return [Picture(np.round(wave).astype(np.uint8), grey, grey) for wave in waves]


def interlaced(path: Path, frames: list[Picture], options: str = "tff=1") -> Path:
    """Lossless H.264 that says its frames are fields."""
    with av.open(str(path), "w") as container:
        settings = {"qp": "0", "bf": "0", "x264-params": options}
        stream = container.add_stream("libx264", rate=25, options=settings)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        context = stream.codec_context
        context.color_range, context.colorspace = 1, 6
        context.color_primaries, context.color_trc = 6, 6
        for number, picture in enumerate(frames):
            array = np.frombuffer(picture.to_bytes(), np.uint8).reshape(-1, SIZE[0])
            frame = av.VideoFrame.from_ndarray(array, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            frame.color_range, frame.colorspace = 1, 6
            frame.color_primaries, frame.color_trc = 6, 6
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def woven(all_fields: list[Picture]) -> list[Picture]:
    return [weave(*pair) for pair in zip(all_fields[::2], all_fields[1::2], strict=True)]


@pytest.mark.parametrize("order", ["t", "b"])
def test_fields_become_frames(tmp_path: Path, order: str) -> None:
    pictures = fields()
    pairs = list(zip(pictures[::2], pictures[1::2], strict=True))
    combed = [weave(*(pair[::-1] if order == "b" else pair)) for pair in pairs]
    head = f"YUV4MPEG2 W{SIZE[0]} H{SIZE[1]} F25:1 I{order} A1:1 C420jpeg\n".encode()
    data = b"".join(b"FRAME\n" + picture.to_bytes() for picture in combed)
    (tmp_path / "in.y4m").write_bytes(head + data)
    with open_video(tmp_path / "in.y4m") as reader:
        shown = list(reader)
        assert reader.interlaced
        times = [frame.pts * reader.info.time_base for frame in shown]
    assert times == [Fraction(number, 25) for number in range(FRAMES)]
    inside = slice(1, FRAMES - 1)  # at the ends a neighbour is missing
    for frame, pair, comb in zip(shown[inside], pairs[inside], combed[inside], strict=True):
        ours = squared_error(frame.picture, pair[0])[0]
        fields_as_frames = squared_error(comb, pair[0])[0]
        assert ours < fields_as_frames / 10


def test_colour_tags_stay(tmp_path: Path) -> None:
    path = interlaced(tmp_path / "in.mp4", woven(fields()))
    with open_video(path) as reader:
        colour = reader.info.colour
        assert len(list(reader)) == FRAMES
        assert reader.interlaced
    assert (colour.range, colour.primaries, colour.transfer, colour.matrix) == (1, 6, 6, 6)


def test_progressive_pictures_stay_as_they_are(tmp_path: Path) -> None:
    pictures = panned_texture(size=SIZE, frames=4)
    path = interlaced(tmp_path / "in.mp4", pictures, "bframes=0")
    with open_video(path) as reader:
        assert all(a.picture.equals(b) for a, b in zip(reader, pictures, strict=True))
        assert not reader.interlaced


def test_a_start_within_it(tmp_path: Path) -> None:
    path = interlaced(tmp_path / "in.mp4", woven(fields()))
    with open_video(path, start=0.2, frames=2) as reader:
        assert [frame.pts * reader.info.time_base for frame in reader] == [
            Fraction(5, 25),
            Fraction(6, 25),
        ]


def test_without_the_flag_it_is_refused(tmp_path: Path) -> None:
    path = interlaced(tmp_path / "in.mp4", woven(fields()))
    with pytest.raises(UnsupportedVideo, match="--convert to have them deinterlaced"):
        open_video(path, convert=False)


def test_the_command_says_what_it_did(
    tmp_path: Path, weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = interlaced(tmp_path / "in.mp4", woven(fields()))
    words = ["encode", str(path), str(tmp_path / "v.dvc"), "--convert", "--frames", "3"]
    assert main([*words, "--model", str(weights)]) == 0
    assert "interlaced pictures were deinterlaced" in capfd.readouterr().err
