"""Videos as they come, through encode and decode: what happens to each, as a table.

    python benchmarks/input_matrix.py [--only WORD] [--keep FOLDER]

Every input is made here, small, with PyAV. A row says how encoding ended, how decoding to .mkv
ended, and what of size, frames, times, shape, rotation, colour tags, sound and tags came back.
"""

import argparse
import contextlib
import io
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from dvc_codec.cli.main import main
from dvc_codec.video import open_video


@dataclass(frozen=True)
class Case:
    """An input: how it is made, what encode is told, the exit code that is expected, what decode
    is told.
    """

    name: str
    make: Callable[[Path], Path]
    words: tuple[str, ...] = ()
    code: int = 0
    decode: tuple[str, ...] = ()


def video(
    suffix: str = ".mkv",
    *,
    size: tuple[int, int] = (96, 64),
    frames: int = 6,
    rate: Fraction | int = 25,
    codec: str = "ffv1",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    times: list[int] | None = None,
    rotation: int = 0,
    ratio: Fraction | None = None,
    colour: tuple[int, int, int, int] | None = None,
    sound: str | None = None,
    subtitle: bool = False,
    tags: dict[str, str] | None = None,
    opaque: bool = True,
) -> Callable[[Path], Path]:
    """A slow pan over a soft pattern, as a file of this kind."""

    def make(folder: Path) -> Path:
        path = folder / f"in{suffix}"
        with av.open(str(path), "w") as container:
            container.metadata.update(tags or {})
            stream: Any = container.add_stream(codec, rate=rate, options=options or {})
            stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
            if times is not None:
                stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
            if ratio:
                stream.codec_context.sample_aspect_ratio = ratio
            if rotation:
                stream.set_display_rotation(rotation)
            if colour:
                context = stream.codec_context
                context.color_range, context.colorspace = colour[0], colour[3]
                context.color_primaries, context.color_trc = colour[1], colour[2]
            other: Any = container.add_stream(sound, rate=48000, layout="mono") if sound else None
            text: Any = container.add_mux_stream("subrip") if subtitle else None
            if text is not None:
                text.time_base = Fraction(1, 1000)
            container.start_encoding()
            for number in range(frames):
                frame = av.VideoFrame.from_ndarray(pattern(size, number, opaque), "rgba")
                frame = frame.reformat(format=pix_fmt)
                if times is not None:
                    frame.pts, frame.time_base = times[number], Fraction(1, 1000)
                else:
                    frame.pts, frame.time_base = number, 1 / Fraction(rate)
                if colour:
                    frame.color_range, frame.colorspace = colour[0], colour[3]
                    frame.color_primaries, frame.color_trc = colour[1], colour[2]
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
            if other is not None:
                tone(container, other, frames / float(rate))
            if text is not None:
                packet = av.Packet(b"Hello")
                packet.stream, packet.time_base = text, Fraction(1, 1000)
                packet.pts = packet.dts = 40
                packet.duration = 100
                container.mux(packet)
        return path

    return make


def pattern(size: tuple[int, int], number: int, opaque: bool) -> np.ndarray:
    """(H, W, 4) RGBA."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
    wave = [np.sin((x - 1.5 * number) / p + y / q) for p, q in ((7, 11), (13, 5), (9, -17))]
    rgb = np.stack([128 + 90 * w for w in wave], -1)
    alpha = np.full((*rgb.shape[:2], 1), 255.0) if opaque else (128 + 90 * wave[0])[..., None]
    return np.ascontiguousarray(np.clip(np.concatenate([rgb, alpha], -1), 0, 255).astype(np.uint8))


def tone(container: Any, stream: Any, seconds: float) -> None:
    """Encode a sine into a stream of any sample format."""
    size = stream.frame_size or 1024
    planar = stream.format.name
    for number in range(int(48000 * seconds) // size + 1):
        wave = np.sin(np.arange(number * size, (number + 1) * size) / 15)[None]
        kinds = {"f": np.float32, "s1": np.int16, "s3": np.int32}
        kind = kinds["f" if planar[0] == "f" else planar[:2]]
        data = (wave * (1 if kind is np.float32 else 8000)).astype(kind)
        frame = av.AudioFrame.from_ndarray(data, planar, "mono")
        frame.rate, frame.pts = 48000, number * size
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def of_bytes(name: str, data: bytes) -> Callable[[Path], Path]:
    """A file of these bytes."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def cut(make: Callable[[Path], Path], share: float) -> Callable[[Path], Path]:
    """The first part of a file."""

    def shorter(folder: Path) -> Path:
        path = make(folder)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        return path

    return shorter


def only_sound(folder: Path) -> Path:
    """A file without pictures."""
    with av.open(str(folder / "in.m4a"), "w") as container:
        tone(container, container.add_stream("aac", rate=48000, layout="mono"), 0.3)
    return folder / "in.m4a"


def two_sizes(folder: Path) -> Path:
    """Raw H.264 whose size changes on the way."""
    path = folder / "in.h264"
    with path.open("wb") as out:
        for size in ((96, 64), (64, 96)):
            part = video(".mkv", size=size, codec="libx264", frames=3)(folder)
            annex = folder / "part.h264"
            with av.open(str(part)) as source, av.open(str(annex), "w", format="h264") as target:
                stream = target.add_stream_from_template(source.streams.video[0])
                for packet in source.demux(video=0):
                    if packet.size:
                        packet.stream = stream
                        target.mux(packet)
            out.write(annex.read_bytes())
    return path


Y4M = b"YUV4MPEG2 W96 H64 F25:1 Ip A1:1 C420jpeg\n"
PHONE = {"times": [0, 33, 67, 133, 150, 250], "rotation": 90, "sound": "aac"}
HDR10 = {
    "x265-params": "log-level=none:max-cll=1000,400:master-display="
    "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
}
X264 = {"codec": "libx264", "suffix": ".mp4"}
CASES = (
    Case("phone: portrait, VFR, rotation, AAC", video(**X264, size=(64, 112), **PHONE)),
    Case("webm: VP9 and Opus", video(".webm", codec="libvpx-vp9", sound="libopus")),
    Case("avi: MPEG-4 and MP3", video(".avi", codec="mpeg4", sound="libmp3lame")),
    Case("mkv: FLAC, subtitles, title", video(sound="flac", subtitle=True, tags={"title": "T"})),
    Case("B frames", video(**X264, frames=12, options={"bf": "3"})),
    Case("1x1", video(size=(1, 1))),
    Case("16x16", video(size=(16, 16))),
    Case("odd: 97x63", video(size=(97, 63))),
    Case(
        "4096x2160, one frame",
        video(size=(4096, 2160), frames=1, codec="mjpeg", pix_fmt="yuvj420p"),
    ),
    Case("one frame", video(frames=1)),
    Case("PNG still", video(".png", frames=1, codec="png", pix_fmt="rgb24"), ("--convert",)),
    Case("GIF", video(".gif", codec="gif", pix_fmt="rgb8"), ("--convert",)),
    Case("29.97 frames a second", video(**X264, rate=Fraction(30000, 1001))),
    Case("1 frame a second", video(**X264, rate=1)),
    Case("samples 4:3", video(**X264, ratio=Fraction(4, 3))),
    Case("BT.709, limited", video(**X264, colour=(1, 1, 1, 1))),
    Case("BT.601, limited", video(**X264, colour=(1, 6, 6, 6))),
    Case("full range (MJPEG)", video(codec="mjpeg", pix_fmt="yuvj420p")),
    Case("10 bits", video(pix_fmt="yuv420p10le"), code=10),
    Case("10 bits, --convert", video(pix_fmt="yuv420p10le"), ("--convert",)),
    Case(
        "HDR10, --convert",
        video(codec="libx265", pix_fmt="yuv420p10le", colour=(1, 9, 16, 9), options=HDR10),
        ("--convert",),
        decode=("--video", "x264"),
    ),
    Case("4:2:2", video(pix_fmt="yuv422p"), code=10),
    Case("4:4:4, --convert", video(pix_fmt="yuv444p"), ("--convert",)),
    Case("RGB, --convert", video(pix_fmt="bgr0"), ("--convert",)),
    Case("grey, --convert", video(pix_fmt="gray"), ("--convert",)),
    Case("interlaced", video(**X264, options={"x264-params": "tff=1"}), code=10),
    Case("interlaced, --convert", video(**X264, options={"x264-params": "tff=1"}), ("--convert",)),
    Case("alpha", video(pix_fmt="yuva420p", opaque=False), ("--convert",), code=10),
    Case("alpha, opaque everywhere", video(pix_fmt="yuva420p"), ("--convert",)),
    Case("size changes on the way", two_sizes, code=10),
    Case("y4m", of_bytes("in.y4m", Y4M + 2 * (b"FRAME\n" + bytes(96 * 96)))),
    Case("zero frames", of_bytes("in.y4m", Y4M), code=4),
    Case("empty file", of_bytes("in.mp4", b""), code=4),
    Case("text", of_bytes("in.mp4", b"no video\n" * 50), code=4),
    Case("random bytes", of_bytes("in.mkv", np.random.default_rng(1).bytes(5000)), code=4),
    Case("sound alone", only_sound, code=4),
    Case("mp4 cut in half", cut(video(**X264, frames=12), 0.5), code=4),
    Case("mkv cut in half", cut(video(frames=12), 0.5)),
)


def run(words: list[str]) -> tuple[int, str]:
    """(exit code, first line of standard error)."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    return code, (err.getvalue().splitlines() or [""])[0]


def kept(source: Path, decoded: Path, convert: bool) -> str:
    """What came back, as a list of differences; "all" where there is none."""
    lost = []
    with open_video(source, convert=convert) as a, open_video(decoded) as b:
        for name in ("width", "height", "sample_aspect_ratio", "rotation"):
            if getattr(a.info, name) != getattr(b.info, name):
                lost.append(f"{name} {getattr(a.info, name)} -> {getattr(b.info, name)}")
        for name in ("range", "primaries", "transfer", "matrix"):
            before, after = getattr(a.info.colour, name), getattr(b.info.colour, name)
            if before != after:
                lost.append(f"{name} {before} -> {after}")
        if a.info.hdr != b.info.hdr:
            lost.append("HDR metadata")
        times = [[float(f.pts * r.info.time_base) for f in r] for r in (a, b)]
    if len(times[0]) != len(times[1]):
        lost.append(f"frames {len(times[0])} -> {len(times[1])}")
    elif any(
        abs((p - times[0][0]) - (q - times[1][0])) > 0.0011 for p, q in zip(*times, strict=True)
    ):
        lost.append("times")
    for kind in ("audio", "subtitle"):
        before, after = packets(source, kind), packets(decoded, kind)
        if before != after:
            lost.append(f"{kind} packets {len(before)} -> {len(after)}")
    with av.open(str(source)) as a, av.open(str(decoded)) as b:
        if a.metadata.get("title") != b.metadata.get("title"):
            lost.append("title")
    return ", ".join(lost) or "all"


def packets(path: Path, kind: str) -> list[bytes]:
    """Of the first stream of a kind, those before time 0 included."""
    with av.open(str(path)) as container:
        streams = [s for s in container.streams if s.type == kind]
        return [bytes(p) for p in container.demux(streams[0]) if p.size] if streams else []


def row(case: Case, folder: Path) -> tuple[str, ...]:
    """name, expected?, encode, decode, what came back."""
    source, coded, decoded = case.make(folder), folder / "v.dvc", folder / "out.mkv"
    code, line = run(["encode", str(source), str(coded), *case.words, "--gop", "4"])
    right = "ok" if code == case.code else f"WRONG (expected {case.code})"
    if code:
        return case.name, right, f"{code}: {line.replace(str(folder) + '/', '')[11:90]}", "", ""
    code, line = run(["decode", str(coded), str(decoded), "--strict", *case.decode])
    if code:
        return case.name, "WRONG", "0", f"{code}: {line[11:90]}", ""
    return case.name, right, "0", "0", kept(source, decoded, "--convert" in case.words)


def all_rows(only: str = "", keep: Path | None = None) -> bool:
    """Print the table; whether every case ended as expected."""
    av.logging.set_level(av.logging.PANIC)
    print("| input | as expected | encode | decode | came back |\n|---|---|---|---|---|")
    good = True
    for case in CASES:
        if only not in case.name:
            continue
        with tempfile.TemporaryDirectory(dir=keep) as folder:
            cells = row(case, Path(folder))
        good &= cells[1] == "ok"
        print(f"| {' | '.join(cells)} |", flush=True)
    return good


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", metavar="WORD", help="inputs that have WORD in them")
    sys.exit(0 if all_rows(parser.parse_args().only) else 1)
