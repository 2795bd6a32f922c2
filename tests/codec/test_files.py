"""Whole files: what the encoder saw is what the decoder gives, of every kind of video."""

import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from dvc_codec.codec import decoder, encoder
from dvc_codec.codec.decoder import Decoder, decode_file
from dvc_codec.codec.encoder import Summary, encode_file
from dvc_codec.codec.frame_encoder import squared_error, weighted_psnr
from dvc_codec.codec.model import Model, load_model
from dvc_codec.codec.order import LIMIT_BETWEEN
from dvc_codec.codec.registry import build
from dvc_codec.container import Reader
from dvc_codec.errors import DamagedFile, OutOfRange, WrongModel
from dvc_codec.networks.dvc2019.config import Dvc2019Config
from dvc_codec.video import Picture
from tests.files import kinds_of, pictures_of, two_scenes, write_video
from tests.intra.test_intra import NEEDS_VVENC
from tests.moving import moving_square, noise, panned_texture


@pytest.fixture(scope="module")
def model(weights: Path) -> Model:
    return load_model(weights)


def code(folder: Path, pictures: list[Picture], model: Model, **options: object) -> Summary:
    """Encode ``pictures`` to v.dvc with its reconstruction in recon.y4m, decode to out.y4m."""
    source = write_video(folder / "in.y4m", pictures)
    settings = {"lagrangian": 512.0, "recon": folder / "recon.y4m", **options}
    summary = encode_file(source, folder / "v.dvc", model=model, **settings)  # type: ignore[arg-type]
    decoded = decode_file(folder / "v.dvc", folder / "out.y4m", model=model)
    assert decoded.differing == 0
    return summary


@pytest.mark.parametrize("size", [(64, 48), (65, 47), (127, 33), (2, 2), (1, 1), (66, 130)])
def test_every_size_comes_back_as_the_encoder_saw_it(
    tmp_path: Path, model: Model, size: tuple[int, int]
) -> None:
    pictures = panned_texture(size=size, frames=3)
    summary = code(tmp_path, pictures, model)
    assert (tmp_path / "out.y4m").read_bytes() == (tmp_path / "recon.y4m").read_bytes()
    out = pictures_of(tmp_path / "out.y4m")
    assert [(p.width, p.height) for p in out] == [size] * 3
    psnr = [weighted_psnr(squared_error(a, b)) for a, b in zip(pictures, out, strict=True)]
    assert psnr == pytest.approx(summary.frame_psnr)
    assert min(psnr) > 30


def test_noise_comes_back_as_the_encoder_saw_it(tmp_path: Path, model: Model) -> None:
    code(tmp_path, noise(frames=3), model, lagrangian=4096.0)
    assert (tmp_path / "out.y4m").read_bytes() == (tmp_path / "recon.y4m").read_bytes()


def test_one_frame(tmp_path: Path, model: Model) -> None:
    summary = code(tmp_path, moving_square(frames=1), model)
    assert (summary.frames, summary.gops) == (1, 1)
    assert kinds_of(tmp_path / "v.dvc") == "I"
    assert len(pictures_of(tmp_path / "out.y4m")) == 1


def test_size_and_quality_rise_with_lambda(tmp_path: Path, model: Model) -> None:
    pictures = panned_texture(size=(128, 64), frames=5)
    made = [code(tmp_path, pictures, model, lagrangian=at) for at in (64.0, 256.0, 1024.0, 4096.0)]
    sizes, qualities = [m.file_bytes for m in made], [m.psnr for m in made]
    assert sizes == sorted(set(sizes))
    assert qualities == sorted(set(qualities))


def test_the_summary_adds_up(tmp_path: Path, model: Model) -> None:
    summary = code(tmp_path, panned_texture(frames=5), model, gop=3)
    assert summary.file_bytes == (tmp_path / "v.dvc").stat().st_size
    assert sum(summary.bits.values()) == 8 * summary.file_bytes
    assert set(summary.bits) == {"intra", "motion", "residual", "overhead"}
    assert min(summary.bits.values()) > 0
    assert summary.bits_per_pixel == pytest.approx(8 * summary.file_bytes / (5 * 64 * 48))
    assert (summary.frames, summary.gops, len(summary.frame_psnr)) == (5, 2, 5)


def test_a_scene_cut_starts_a_group(tmp_path: Path, model: Model) -> None:
    pictures = two_scenes(frames=7, at=4)
    code(tmp_path, pictures, model, between=0)
    assert kinds_of(tmp_path / "v.dvc") == "IPPPIPP"
    code(tmp_path, pictures, model, between=0, scene_cuts=False)
    assert kinds_of(tmp_path / "v.dvc") == "IPPPPPP"
    code(tmp_path, pictures, model, gop=2)
    assert kinds_of(tmp_path / "v.dvc") == "IPIPIPI"
    code(tmp_path, pictures, model)
    assert kinds_of(tmp_path / "v.dvc") == "IPBPIPB"


@pytest.mark.parametrize(("between", "kinds"), [(0, "IPPPPPPPP"), (1, "IPBPBPBPB")])
def test_b_frames_come_as_many_as_asked_for(
    tmp_path: Path, model: Model, between: int, kinds: str
) -> None:
    summary = code(tmp_path, panned_texture(frames=9), model, between=between)
    assert kinds_of(tmp_path / "v.dvc") == kinds
    assert (tmp_path / "out.y4m").read_bytes() == (tmp_path / "recon.y4m").read_bytes()
    shown = pictures_of(tmp_path / "out.y4m")
    pairs = zip(panned_texture(frames=9), shown, strict=True)
    psnr = [weighted_psnr(squared_error(a, b)) for a, b in pairs]
    assert min(psnr) > 30 and psnr == pytest.approx(summary.frame_psnr)


@pytest.mark.parametrize("between", [-1, LIMIT_BETWEEN + 1])
def test_so_many_b_frames_are_refused(tmp_path: Path, model: Model, between: int) -> None:
    with pytest.raises(OutOfRange, match=f"{between} B frames in a row"):
        code(tmp_path, panned_texture(frames=2), model, between=between)


def test_weights_without_b_frames_make_none(tmp_path: Path) -> None:
    alone = Model("dvc2019", bytes(32), build("dvc2019", asdict(Dvc2019Config.small())))
    code(tmp_path, panned_texture(frames=4), alone, between=3)
    assert kinds_of(tmp_path / "v.dvc") == "IPPP"


@pytest.mark.parametrize("name", ["hevc", "av1", pytest.param("vvc", marks=NEEDS_VVENC)])
def test_the_intra_codec_can_be_chosen(tmp_path: Path, model: Model, name: str) -> None:
    code(tmp_path, panned_texture(frames=2), model, intra=name)
    with Reader(tmp_path / "v.dvc") as reader:
        (frame, _) = reader.read_gop(0).frames
    assert frame.intra_codec == {"hevc": 1, "av1": 2, "vvc": 4}[name]


def test_encoding_a_part_is_encoding_that_part(tmp_path: Path, model: Model) -> None:
    pictures = panned_texture(frames=8)
    whole = write_video(tmp_path / "whole.y4m", pictures)
    part = write_video(tmp_path / "part.y4m", pictures[3:6])
    for source, start in ((whole, 0.12), (part, 0.0)):
        encode_file(
            source, source.with_suffix(".dvc"), lagrangian=512, start=start, frames=3, model=model
        )
        decode_file(source.with_suffix(".dvc"), source.with_suffix(".out.y4m"), model=model)
    out = (tmp_path / "whole.out.y4m").read_bytes()
    assert out == (tmp_path / "part.out.y4m").read_bytes()


@pytest.mark.parametrize(
    ("start", "frames", "expected"),
    [
        (0.0, 2, (0, 2)),
        (0.12, 2, (3, 5)),
        (0.16, None, (4, 8)),
        (0.28, 9, (7, 8)),
        (0.2, 1, (5, 6)),
    ],
)
def test_decoding_a_part_gives_the_same_pictures(
    tmp_path: Path, model: Model, start: float, frames: int | None, expected: tuple[int, int]
) -> None:
    code(tmp_path, panned_texture(frames=8), model, gop=3)
    decode_file(tmp_path / "v.dvc", tmp_path / "part.y4m", start=start, frames=frames, model=model)
    part = pictures_of(tmp_path / "part.y4m")
    whole = pictures_of(tmp_path / "out.y4m")[slice(*expected)]
    assert len(part) == len(whole)
    assert all(a.equals(b) for a, b in zip(part, whole, strict=True))


@pytest.mark.parametrize("start", [0.32, -0.1, float("inf"), float("nan")])
def test_decoding_starts_inside_the_file(tmp_path: Path, model: Model, start: float) -> None:
    code(tmp_path, panned_texture(frames=8), model)
    (tmp_path / "out.y4m").unlink()
    with pytest.raises(OutOfRange, match=r"0\.320 s"):
        decode_file(tmp_path / "v.dvc", tmp_path / "out.y4m", start=start, model=model)
    assert not (tmp_path / "out.y4m").exists()


class Enough(Exception):
    """What a caller may raise in the middle."""


def test_no_thread_reads_on_after_an_error(
    tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where a reference to what it makes is left, as outside of CPython there may be."""
    held: list[object] = []

    def holding(make: Callable[..., object]) -> Callable[..., object]:
        def made(*arguments: object, **named: object) -> object:
            held.append(make(*arguments, **named))
            return held[-1]

        return made

    def enough(*_: object) -> None:
        raise Enough

    for place, name in ((encoder, "ahead"), (decoder, "ahead"), (Decoder, "shown")):
        monkeypatch.setattr(place, name, holding(getattr(place, name)))
    code(tmp_path, panned_texture(frames=8), model)
    names = [tmp_path / name for name in ("in.y4m", "v.dvc", "out.y4m")]
    with pytest.raises(Enough):
        encode_file(names[0], names[1], lagrangian=512, model=model, progress=enough)
    with pytest.raises(Enough):
        decode_file(names[1], names[2], model=model, progress=enough)
    assert len(held) == 2 * 3  # in code(), and here
    assert "ahead" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("options", [{"gop": 0}, {"gop": 1025}, {"lagrangian": 63.0}])
def test_numbers_out_of_range(tmp_path: Path, model: Model, options: dict[str, float]) -> None:
    with pytest.raises(OutOfRange):
        code(tmp_path, moving_square(frames=1), model, **options)
    assert not list(tmp_path.glob("v.dvc*"))


def test_other_weights_are_refused_by_name(tmp_path: Path, model: Model) -> None:
    code(tmp_path, moving_square(frames=1), model)
    other = Model("other", bytes(32), model.codec)
    with pytest.raises(WrongModel, match="other"):
        Decoder(tmp_path / "v.dvc", other)


def test_every_cut_is_seen(tmp_path: Path, model: Model) -> None:
    code(tmp_path, moving_square(frames=3), model, gop=1)
    whole = (tmp_path / "v.dvc").read_bytes()
    (tmp_path / "out.y4m").unlink()
    for length in range(14, len(whole), 37):
        (tmp_path / "v.dvc").write_bytes(whole[:length])
        with pytest.raises(DamagedFile):
            decode_file(tmp_path / "v.dvc", tmp_path / "out.y4m", model=model, strict=True)
        assert not list(tmp_path.glob("out.y4m*"))


def test_a_damaged_group_is_no_video(tmp_path: Path, model: Model) -> None:
    code(tmp_path, moving_square(frames=4), model, gop=2)
    (tmp_path / "out.y4m").unlink()
    with Reader(tmp_path / "v.dvc") as reader:
        middle = reader.index[1].offset + 30
    data = bytearray((tmp_path / "v.dvc").read_bytes())
    data[middle] ^= 1
    (tmp_path / "v.dvc").write_bytes(data)
    with pytest.raises(DamagedFile, match="CRC"):
        decode_file(tmp_path / "v.dvc", tmp_path / "out.y4m", model=model, strict=True)
    assert not list(tmp_path.glob("out.y4m*"))
