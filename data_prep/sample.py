"""Make the sample clip that ships in the package: the start of a video, smaller, with its sound.

    python data_prep/sample.py flower.mp4 dvc_codec/sample/flower.mp4

The picture is scaled and coded anew (x264, high quality); the sound is copied as it is.
"""

import argparse
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.filter import Graph
from av.video.stream import VideoStream


def make_sample(source: Path, target: Path, *, frames: int, width: int, crf: int) -> None:
    """Write the first ``frames`` frames of ``source``, ``width`` wide, and as much of its sound."""
    with av.open(str(source)) as opened, av.open(str(target), "w") as made:
        video_in = opened.streams.video[0]
        rate = video_in.average_rate or Fraction(25)
        end = Fraction(frames) / rate
        graph = _scaler(video_in, width)
        video_out = _video_stream(made, video_in, rate, width, crf)
        sound_in = opened.streams.audio[0]
        sound_out = made.add_stream_from_template(sound_in)
        for frame in _scaled(opened, video_in, graph, frames):
            made.mux(video_out.encode(frame))
        made.mux(video_out.encode(None))
        opened.seek(0)
        for packet in opened.demux(sound_in):
            if packet.pts is None or packet.time_base is None:
                continue
            if packet.pts * packet.time_base < end:
                packet.stream = sound_out
                made.mux(packet)


def _scaled(
    opened: InputContainer, video: VideoStream, graph: Graph, frames: int
) -> Iterator[av.VideoFrame]:
    for number, frame in enumerate(opened.decode(video)):
        if number == frames:
            return
        graph.vpush(frame)
        scaled = graph.vpull()
        scaled.pict_type = 0  # which frames are key frames is the new encoder's to say
        yield scaled


def _scaler(video: VideoStream, width: int) -> Graph:
    graph = Graph()
    source = graph.add_buffer(template=video)
    scale = graph.add("scale", f"{width}:-2:flags=lanczos+accurate_rnd+bitexact")
    graph.link_nodes(source, scale, graph.add("buffersink")).configure()
    return graph


def _video_stream(
    made: OutputContainer, video: VideoStream, rate: Fraction, width: int, crf: int
) -> VideoStream:
    context = video.codec_context
    options = {"crf": str(crf), "preset": "slow"}
    stream = made.add_stream("libx264", rate=rate, options=options)
    stream.width, stream.height = width, round(width * context.height / context.width / 2) * 2
    stream.pix_fmt = "yuv420p"
    stream.codec_context.color_range = context.color_range
    stream.codec_context.colorspace = context.colorspace
    stream.codec_context.color_primaries = context.color_primaries
    stream.codec_context.color_trc = context.color_trc
    return stream


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--width", type=int, default=480)
    parser.add_argument("--crf", type=int, default=12)
    given = parser.parse_args()
    make_sample(given.source, given.target, frames=given.frames, width=given.width, crf=given.crf)


if __name__ == "__main__":
    main()
