"""Sound, subtitles, tags and chapters go through a .dvc file byte for byte."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dvc_codec.codec.decoder import decode_file
from dvc_codec.codec.encoder import encode_file
from dvc_codec.codec.model import Model, load_model
from dvc_codec.container import Reader, StreamKind
from tests.moving import panned_texture

Sound = list[tuple[float, bytes]]


@pytest.fixture(scope="module")
def model(weights: Path) -> Model:
    return load_model(weights)


def film(path: Path, *, frames: int = 20, codec: str = "aac", text: str | None = None) -> Path:
    """Frames of 64x48 at 10 a second, a tone a little longer than them, a subtitle; a title and two
    chapters.
    """
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "Größe"
        container.set_chapters(
            [
                {
                    "id": n,
                    "start": 1000 * n,
                    "end": 1000 * n + 1000,
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": f"part {n}"},
                }
                for n in range(2)
            ]
        )
        video = container.add_stream("libx264", rate=10, options={"qp": "0", "bf": "0"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream(codec, rate=48000, layout="stereo")
        sound.metadata["language"] = "fra"
        lines = container.add_mux_stream(text) if text else None
        if lines is not None:
            lines.time_base = Fraction(1, 1000)
        for picture in panned_texture(frames=frames):
            frame = av.VideoFrame.from_ndarray(
                np.frombuffer(picture.to_bytes(), np.uint8).reshape(72, 64), "yuv420p"
            )
            container.mux(video.encode(frame))
        wanted = np.dtype(
            {"f": "float32", "s16": "int16", "s32": "int32"}[
                "f" if sound.format.name.startswith("f") else sound.format.name.removesuffix("p")
            ]
        )
        size = sound.frame_size or 1024
        for n in range(48000 * frames // 10 // size + 2):
            wave = np.sin(np.arange(n * size, (n + 1) * size) / 20)
            data = np.stack([wave, wave]) * (1 if wanted.kind == "f" else 20000)
            if sound.format.is_planar:
                block = np.ascontiguousarray(data.astype(wanted))
            else:
                block = np.ascontiguousarray(data.astype(wanted).T.reshape(1, -1))
            piece = av.AudioFrame.from_ndarray(block, sound.format.name, "stereo")
            piece.rate, piece.pts = 48000, n * size
            container.mux(sound.encode(piece))
        if lines is not None:
            packet = av.Packet(b"Hello")
            packet.stream, packet.time_base = lines, Fraction(1, 1000)
            packet.pts = packet.dts = 500
            packet.duration = 700
            container.mux(packet)
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    return path


def sound_of(path: Path, kind: str = "audio") -> Sound:
    """(seconds, bytes) of the packets of the first stream of a kind."""
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams if s.type == kind)
        return [
            (float(packet.pts * packet.time_base), bytes(packet))
            for packet in container.demux(stream)
            if packet.size
        ]


def same(found: Sound, expected: Sound) -> None:
    """The same bytes, at times that differ by no more than Matroska's milliseconds."""
    assert [data for _, data in found] == [data for _, data in expected]
    for (at, _), (wanted, _) in zip(found, expected, strict=True):
        assert at == pytest.approx(wanted, abs=0.0011)


def through(source: Path, target: Path, model: Model, **options: object) -> Path:
    """Encode and decode."""
    middle = source.with_suffix(".dvc")
    encode_file(source, middle, lagrangian=64, gop=8, model=model, **options)  # type: ignore[arg-type]
    decode_file(middle, target, lossless=False, model=model)
    return target


@pytest.mark.parametrize(
    "codec", ["aac", "libopus", "flac", "alac", "libmp3lame", "ac3", "pcm_s16le"]
)
def test_sound_is_the_same_to_the_byte(tmp_path: Path, model: Model, codec: str) -> None:
    source = film(tmp_path / "in.mkv", codec=codec)
    expected = sound_of(source)
    assert len(expected) > 20
    same(sound_of(through(source, tmp_path / "out.mkv", model)), expected)
    if codec not in ("pcm_s16le", "alac"):
        same(sound_of(through(source, tmp_path / "out.mp4", model)), expected)


def test_sound_decodes_to_the_same_samples(tmp_path: Path, model: Model) -> None:
    def samples(path: Path) -> np.ndarray:
        with av.open(str(path)) as container:
            return np.concatenate([f.to_ndarray() for f in container.decode(audio=0)], 1)

    source = film(tmp_path / "in.mkv")
    out = samples(through(source, tmp_path / "out.mkv", model))
    assert np.array_equal(out, samples(source))


def test_subtitles_tags_and_chapters_come_along(tmp_path: Path, model: Model) -> None:
    source = film(tmp_path / "in.mkv", text="subrip")
    out = through(source, tmp_path / "out.mkv", model)
    assert sound_of(out, "subtitle") == sound_of(source, "subtitle") == [(0.5, b"Hello")]
    with av.open(str(out)) as container:
        assert container.metadata["title"] == "Größe"
        assert [c["metadata"]["title"] for c in container.chapters()] == ["part 0", "part 1"]
        assert container.streams.audio[0].language == "fra"


def test_a_part_has_its_part_of_the_sound(tmp_path: Path, model: Model) -> None:
    source = film(tmp_path / "in.mkv")
    whole = sound_of(source)
    out = through(source, tmp_path / "out.mkv", model, start=0.5, frames=10)
    part = sound_of(out)
    first = whole.index(next(p for p in whole if p[1] == part[0][1]))
    assert [p[1] for p in part] == [p[1] for p in whole[first : first + len(part)]]
    assert whole[first][0] == pytest.approx(0.5, abs=0.03)
    assert whole[first + len(part) - 1][0] == pytest.approx(1.5, abs=0.03)


def test_decoding_a_part_has_its_part_of_the_sound(tmp_path: Path, model: Model) -> None:
    source = film(tmp_path / "in.mkv")
    whole = sound_of(source)
    encode_file(source, tmp_path / "v.dvc", lagrangian=64, gop=4, model=model)
    decode_file(tmp_path / "v.dvc", tmp_path / "o.mkv", start=0.9, frames=5, model=model)
    part = sound_of(tmp_path / "o.mkv")
    first = whole.index(next(p for p in whole if p[1] == part[0][1]))
    assert whole[first][0] == pytest.approx(0.9, abs=0.03)
    assert len(part) == pytest.approx(0.5 * 48000 / 1024, abs=2)


def test_sound_can_be_left_out(tmp_path: Path, model: Model) -> None:
    source = film(tmp_path / "in.mkv")
    encode_file(source, tmp_path / "v.dvc", sound=False, model=model, frames=2)
    with Reader(tmp_path / "v.dvc") as reader:
        assert reader.header.streams == ()
    encode_file(source, tmp_path / "v.dvc", model=model, frames=2)
    with Reader(tmp_path / "v.dvc") as reader:
        assert [stream.kind for stream in reader.header.streams] == [StreamKind.AUDIO]
    decode_file(tmp_path / "v.dvc", tmp_path / "o.mkv", sound=False, model=model)
    with av.open(str(tmp_path / "o.mkv")) as container:
        assert not container.streams.audio


def test_what_y4m_cannot_hold_is_named(tmp_path: Path, model: Model) -> None:
    encode_file(film(tmp_path / "in.mkv"), tmp_path / "v.dvc", model=model, frames=2)
    done = decode_file(tmp_path / "v.dvc", tmp_path / "o.y4m", model=model)
    assert done.left_out == ["stream 1 (aac)", "tags", "chapters"]


def test_the_sample_keeps_its_sound(tmp_path: Path, model: Model, flower: Path) -> None:
    encode_file(flower, tmp_path / "v.dvc", lagrangian=64, frames=3, model=model)
    decode_file(tmp_path / "v.dvc", tmp_path / "o.mkv", lossless=False, model=model)
    part = sound_of(tmp_path / "o.mkv")
    same(part, sound_of(flower)[: len(part)])
    assert len(part) == 5


def test_attachments_come_along(tmp_path: Path, model: Model) -> None:
    source = tmp_path / "in.mkv"
    with av.open(str(film(tmp_path / "plain.mkv"))) as plain, av.open(str(source), "w") as made:
        video = made.add_stream_from_template(plain.streams.video[0])
        made.add_attachment("font.ttf", "font/ttf", bytes(range(256)) * 9)
        for packet in plain.demux(video=0):
            if packet.size:
                packet.stream = video
                made.mux(packet)
    with av.open(str(through(source, tmp_path / "out.mkv", model, frames=2))) as out:
        attachment = next(stream for stream in out.streams if stream.type == "attachment")
        assert attachment.data == bytes(range(256)) * 9
        assert (attachment.metadata["filename"], attachment.mimetype) == ("font.ttf", "font/ttf")


def test_timed_text_of_mp4_becomes_subrip(tmp_path: Path, model: Model) -> None:
    with av.open(str(tmp_path / "in.mp4"), "w") as container:
        video = container.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        text = container.add_mux_stream("mov_text")
        text.time_base = Fraction(1, 1000)
        for picture in panned_texture(frames=10):
            frame = av.VideoFrame.from_ndarray(
                np.frombuffer(picture.to_bytes(), np.uint8).reshape(72, 64), "yuv420p"
            )
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        packet = av.Packet(b"\x00\x05Hello")
        packet.stream, packet.time_base = text, Fraction(1, 1000)
        packet.pts = packet.dts = 200
        packet.duration = 300
        container.mux(packet)
    encode_file(tmp_path / "in.mp4", tmp_path / "v.dvc", model=model)
    done = decode_file(tmp_path / "v.dvc", tmp_path / "out.mkv", model=model)
    assert done.left_out == []
    assert sound_of(tmp_path / "out.mkv", "subtitle") == [(0.2, b"Hello")]
    done = decode_file(tmp_path / "v.dvc", tmp_path / "out.mp4", model=model)
    assert done.left_out == ["stream 1 (mov_text)"]
