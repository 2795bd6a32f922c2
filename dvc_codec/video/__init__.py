"""Real video files in and out, as 8-bit 4:2:0 pictures with their times and colour tags.

>>> with open_video("in.mp4") as reader, open_writer("out.mkv", reader.info) as writer:
...     for frame in reader:
...         writer.write(frame.picture, frame.pts)      # doctest: +SKIP
"""

from dvc_codec.video.companions import Companions, seconds_of
from dvc_codec.video.extras import NO_EXTRAS, Extras
from dvc_codec.video.info import ColourTags, VideoInfo
from dvc_codec.video.muxer import DEFAULT_CRF
from dvc_codec.video.picture import Frame, Picture, Plane
from dvc_codec.video.reader import RawFormat, VideoReader, open_video
from dvc_codec.video.writer import VideoWriter, open_writer

__all__ = [
    "DEFAULT_CRF",
    "NO_EXTRAS",
    "ColourTags",
    "Companions",
    "Extras",
    "Frame",
    "Picture",
    "Plane",
    "RawFormat",
    "VideoInfo",
    "VideoReader",
    "VideoWriter",
    "open_video",
    "open_writer",
    "seconds_of",
]
