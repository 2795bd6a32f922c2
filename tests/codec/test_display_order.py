"""Frames that are not coded in the order they are shown in: whole files, damaged ones, cut ones."""

import subprocess
import sys
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from dvc_codec.codec.damage import GopSpan, Times
from dvc_codec.codec.decoder import Decoder, Shown, decode_file
from dvc_codec.codec.encoder import encode_file
from dvc_codec.codec.frame_decoder import FrameDecoder, Parsed, Reconstructed
from dvc_codec.codec.frame_encoder import FrameEncoder
from dvc_codec.codec.look import look_into
from dvc_codec.codec.model import Model, load_model
from dvc_codec.codec.output import header_of
from dvc_codec.codec.verify import verify_file
from dvc_codec.container import (
    FrameRecord,
    Gop,
    Reader,
    Writer,
    display_number,
    group_order,
    places,
)
from dvc_codec.errors import DamagedFile
from dvc_codec.evaluation.frame_bits import payload_bits
from dvc_codec.video import Companions, Frame, Picture, VideoInfo, open_writer
from tests.container.examples import HEADER, frame_i, frame_p
from tests.files import RATE, kinds_of, pictures_of, write_video
from tests.moving import panned_texture

FRAMES = 14  # two groups, of 12 and of 2
CODED = [0, 8, 4, 2, 1, 3, 6, 5, 7, 11, 9, 10, 12, 13]  # numbers in display order


@pytest.fixture(scope="module")
def model(shaken_weights: Path) -> Model:
    return load_model(shaken_weights)


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Path:
    """A folder with in.y4m, v.dvc, and what the encoder says a decoder shows, recon.y4m.

    Anchors are as far apart as their groups let them, whatever an encoder would like best.
    """
    folder = tmp_path_factory.mktemp("coded")
    pictures = panned_texture(frames=FRAMES)
    write_video(folder / "in.y4m", pictures)
    info = VideoInfo(pictures[0].width, pictures[0].height, RATE, 1 / RATE)
    header = header_of(
        info, Companions("-"), model=(model.name, model.sha256), lagrangian=256, gop=12, settings=""
    )
    encoder, recon = FrameEncoder(model, 256, "hevc", 12), {}
    with Writer(folder / "v.dvc", header) as writer:
        for first, count in ((0, 12), (12, FRAMES - 12)):
            records = []
            for place in group_order(count, 8):
                number = first + place.number
                encoded = encoder.encode(Frame(pictures[number], number), place)
                records.append(replace(encoded.record, display_index=number))
                recon[number] = encoded.picture
            writer.write_gop(Gop(first, tuple(records)))
    write_video(folder / "recon.y4m", [recon[number] for number in range(FRAMES)])
    return folder


@pytest.fixture(scope="module")
def recon(coded: Path) -> list[Picture]:
    return pictures_of(coded / "recon.y4m")


def shown_of(path: Path, model: Model, first: int = 0, count: int | None = None) -> list[Shown]:
    with Decoder(path, model) as decoder, closing(decoder.shown(first, count)) as shown:
        return list(shown)


def rewritten(source: Path, target: Path, change: dict[int, FrameRecord | None]) -> Path:
    """With other frames in the first group, by their place in coding order."""
    with Reader(source) as reader, Writer(target, reader.header) as writer:
        for number in range(len(reader.index)):
            gop = reader.read_gop(number)
            if number == 0:
                frames = tuple(change.get(n) or frame for n, frame in enumerate(gop.frames))
                gop = replace(gop, frames=frames)
            writer.write_gop(gop)
    return target


def damaged(source: Path, target: Path, coded: int) -> Path:
    """A frame of the first group has no payload, though every CRC is right."""
    with Reader(source) as reader:
        frame = reader.read_gop(0).frames[coded]
    return rewritten(source, target, {coded: replace(frame, payloads=())})


def test_this_is_about_b_frames(coded: Path) -> None:
    assert kinds_of(coded / "v.dvc") == "IPBBBBBBBPBBIP"
    with Reader(coded / "v.dvc") as reader:
        gops = [reader.read_gop(0), reader.read_gop(1)]
    assert [display_number(gop, n) for gop in gops for n in range(len(gop.frames))] == CODED


def test_another_process_shows_the_encoder_s_pictures_in_display_order(
    coded: Path, tmp_path: Path, shaken_weights: Path, recon: list[Picture]
) -> None:
    command = [sys.executable, "-m", "dvc_codec.cli.main", "decode", str(coded / "v.dvc")]
    command += [str(tmp_path / "out.y4m"), "--model", str(shaken_weights), "--strict", "--quiet"]
    subprocess.run(command, check=True)
    out = pictures_of(tmp_path / "out.y4m")
    assert len(out) == len(recon) == FRAMES
    assert all(a.equals(b) for a, b in zip(out, recon, strict=True))


def test_every_frame_is_exact_and_on_time(coded: Path, model: Model, recon: list[Picture]) -> None:
    shown = shown_of(coded / "v.dvc", model)
    assert [one.frame.pts for one in shown] == list(range(FRAMES))
    assert all(one.exact and not one.lost for one in shown)
    assert all(a.frame.picture.equals(b) for a, b in zip(shown, recon, strict=True))
    verdict = verify_file(coded / "v.dvc", model=model)
    assert verdict.sound and verdict.pictures is not None and not verdict.pictures.differing


@pytest.mark.parametrize("first", range(FRAMES))
def test_any_frame_can_be_sought(
    coded: Path, model: Model, recon: list[Picture], first: int
) -> None:
    for count in (1, 4) if first % 4 == 0 else (1,):
        shown = shown_of(coded / "v.dvc", model, first, count)
        assert len(shown) == min(count, FRAMES - first)
        for number, one in enumerate(shown, first):
            assert one.exact and one.frame.pts == number
            assert one.frame.picture.equals(recon[number])


@pytest.mark.parametrize(
    "first, count, reconstructed",
    [
        (0, 1, [0]),
        (8, 1, [0, 8]),
        (3, 1, [0, 8, 4, 2, 3]),
        (5, 2, [0, 8, 4, 6, 5]),
        (13, 1, [0, 1]),
    ],
)
def test_only_what_is_needed_is_reconstructed(
    coded: Path,
    model: Model,
    monkeypatch: pytest.MonkeyPatch,
    first: int,
    count: int,
    reconstructed: list[int],
) -> None:
    done: list[int] = []
    own = FrameDecoder.begin

    def begin(self: FrameDecoder, parsed: Parsed) -> Future[Reconstructed]:
        done.append(parsed.place.number)
        return own(self, parsed)

    monkeypatch.setattr(FrameDecoder, "begin", begin)
    shown_of(coded / "v.dvc", model, first, count)
    assert done == reconstructed


@pytest.mark.parametrize("place", [0, 1, 2, 5, 8, 9, 11])
def test_what_was_decoded_before_damage_is_shown_where_it_belongs(
    coded: Path, tmp_path: Path, model: Model, recon: list[Picture], place: int
) -> None:
    source = damaged(coded / "v.dvc", tmp_path / "v.dvc", place)
    shown = shown_of(source, model)
    assert [one.frame.pts for one in shown] == list(range(FRAMES))
    there = set(CODED[:place]) | {12, 13}
    last: Picture | None = None
    for number, one in enumerate(shown):
        assert one.lost == (number not in there)
        assert one.exact == (number in there)
        if number in there:
            last = recon[number]
        if last is not None:
            assert one.frame.picture.equals(last)
    lost = decode_file(source, tmp_path / "out.y4m", model=model).lost_frames
    assert lost == 12 - place
    assert not verify_file(source, model=model).sound
    with pytest.raises(DamagedFile):
        decode_file(source, tmp_path / "no.y4m", model=model, strict=True)


def test_seeking_into_damage_shows_what_playing_does(
    coded: Path, tmp_path: Path, model: Model
) -> None:
    source = damaged(coded / "v.dvc", tmp_path / "v.dvc", 6)
    whole = shown_of(source, model)
    for first in (1, 4, 6, 8, 10):
        (one,) = shown_of(source, model, first, 1)
        assert (one.lost, one.frame.pts) == (whole[first].lost, first)
        assert one.frame.picture.equals(whole[first].frame.picture)


def test_a_cut_file_shows_all_frames_that_are_whole(
    coded: Path, tmp_path: Path, model: Model, recon: list[Picture]
) -> None:
    data = (coded / "v.dvc").read_bytes()
    with Reader(coded / "v.dvc") as reader:
        start, frames = reader.index[0].offset, reader.read_gop(0).frames
    end = start
    for place, frame in enumerate(frames[:-1]):
        # payloads follow the hash; themselves they may be a byte long, or none
        known = frame.picture_hash.to_bytes(4, "little") + b"".join(frame.payloads)
        end = data.index(known, end) + len(known)
        if place in (3, 5, 6, 7, 9):
            continue
        (tmp_path / "v.dvc").write_bytes(data[:end])
        shown = shown_of(tmp_path / "v.dvc", model)
        there = CODED[: place + 1]
        assert [one.frame.pts for one in shown] == list(range(max(there) + 1))
        for number, one in enumerate(shown):
            last = max(n for n in there if n <= number)
            assert one.lost == (number != last)
            assert one.frame.picture.equals(recon[last])


def test_an_i_frame_inside_a_group_begins_anew(
    coded: Path, tmp_path: Path, model: Model, recon: list[Picture]
) -> None:
    """No encoder of ours makes such a file, but it is one."""
    with Reader(coded / "v.dvc") as reader:
        first, second = reader.read_gop(0), reader.read_gop(1)
        frames = [
            replace(frame, display_index=2 + display_number(first, n), pts=frame.pts + 2)
            for n, frame in enumerate(first.frames)
        ]
        begun = tuple(replace(frame, pts=n) for n, frame in enumerate(second.frames))
        with Writer(tmp_path / "v.dvc", reader.header) as writer:
            writer.write_gop(Gop(0, (*begun, *frames)))
    shown = shown_of(tmp_path / "v.dvc", model)
    assert [one.frame.pts for one in shown] == list(range(FRAMES))
    for one, picture in zip(shown, (*recon[12:], *recon[:12]), strict=True):
        assert one.exact and one.frame.picture.equals(picture)
    assert [f.exact for f in look_into(tmp_path / "v.dvc", model)] == [True] * FRAMES


def test_a_variable_frame_rate_comes_back(tmp_path: Path, model: Model) -> None:
    pictures = panned_texture(frames=7)
    times = [0, 40, 90, 100, 250, 251, 400]
    info = VideoInfo(pictures[0].width, pictures[0].height, Fraction(25), Fraction(1, 1000))
    with open_writer(tmp_path / "in.mkv", info, lossless=True) as writer:
        for pts, picture in zip(times, pictures, strict=True):
            writer.write(picture, pts)
    encode_file(tmp_path / "in.mkv", tmp_path / "v.dvc", model=model, recon=tmp_path / "r.mkv")
    assert "B" in kinds_of(tmp_path / "v.dvc")
    shown = shown_of(tmp_path / "v.dvc", model)
    assert [one.frame.pts for one in shown] == times
    for one, picture in zip(shown, pictures_of(tmp_path / "r.mkv"), strict=True):
        assert one.exact and one.frame.picture.equals(picture)


def test_looking_inside_gives_frames_in_display_order(
    coded: Path, model: Model, recon: list[Picture]
) -> None:
    found = list(look_into(coded / "v.dvc", model, source=coded / "in.y4m"))
    assert [frame.number for frame in found] == list(range(FRAMES))
    assert "".join(frame.kind for frame in found) == "IBBBBBBBPBBPIP"
    bits = [sum(frame.values()) for frame in payload_bits(coded / "v.dvc")]
    originals = pictures_of(coded / "in.y4m")
    for frame, picture, original, size in zip(found, recon, originals, bits, strict=True):
        assert frame.exact and frame.picture.equals(picture)
        assert frame.source is not None and frame.source.equals(original)
        assert sum(frame.bits.values()) == pytest.approx(size, abs=5)
        assert (frame.insides is None) == (frame.kind == "I")
    some = look_into(coded / "v.dvc", model, first=3, count=3)
    for frame, number in zip(some, (3, 4, 5), strict=True):
        assert frame.number == number and frame.picture.equals(recon[number])
    (late,) = look_into(coded / "v.dvc", model, source=coded / "in.y4m", first=13)
    assert late.source is not None and late.source.equals(originals[13])


def test_bits_of_frames_are_told_in_display_order(coded: Path) -> None:
    names = [next(iter(frame)) for frame in payload_bits(coded / "v.dvc")]
    between, anchor = ["B frame"], ["P frame"]
    assert names == ["intra", *between * 7, *anchor, *between * 2, *anchor, "intra", *anchor]


def test_times_of_lost_frames_lie_between_their_neighbours() -> None:
    gop = Gop(10, (frame_i(0), replace(frame_p(900), display_index=14)))
    times = Times(HEADER, GopSpan(10, 17, 0, None), gop)
    assert [times.of(number) for number in range(10, 17)] == [0, 225, 450, 675, 900, 1901, 2902]
    nothing = Times(HEADER, GopSpan(10, 13, 500, None), None)
    assert [nothing.of(number) for number in range(10, 13)] == [500, 1501, 2502]


def test_places_of_a_group_that_was_read(coded: Path) -> None:
    with Reader(coded / "v.dvc") as reader:
        found = places(reader.read_gop(0))
    assert [place.number for place in found] == CODED[:12]
    assert all(place.future is None or place.number < place.future for place in found)
