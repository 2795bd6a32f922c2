"""Small files to code, and looks into files that came out."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from dvc_codec.container import FrameKind, Reader
from dvc_codec.video import Picture, VideoInfo, open_video, open_writer
from tests.moving import scene_cut

RATE = Fraction(25)


def write_video(path: Path, pictures: list[Picture]) -> Path:
    """``pictures`` at 25 frames a second; the suffix says which kind of file. -> ``path``."""
    info = VideoInfo(pictures[0].width, pictures[0].height, RATE, 1 / RATE)
    with open_writer(path, info) as writer:
        for pts, picture in enumerate(pictures):
            writer.write(picture, pts)
    return path


def two_scenes(*, frames: int, at: int) -> list[Picture]:
    """A panned texture until frame ``at``; then another one, as bright as outdoors after a room."""
    return [
        replace(picture, y=picture.y // 2 + 120) if number >= at else picture
        for number, picture in enumerate(scene_cut(frames=frames, at=at))
    ]


def write_sound(path: Path) -> Path:
    """A tenth of a second of silence, and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def pictures_of(path: Path) -> list[Picture]:
    """All pictures of a video file."""
    with open_video(path) as reader:
        return [frame.picture for frame in reader]


def kinds_of(path: Path) -> str:
    """Kinds of a .dvc file's frames in order, as in "IPPPIPP"."""
    with Reader(path) as reader:
        gops = [reader.read_gop(number) for number in range(len(reader.index))]
    assert all(gop.frames[0].kind is FrameKind.I for gop in gops)
    return "".join(frame.kind.name for gop in gops for frame in gop.frames)
