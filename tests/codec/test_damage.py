"""Damage is found, contained and named; interrupted work is gone on with."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dvc_codec.codec.decoder import Decoded, Decoder, decode_file
from dvc_codec.codec.encoder import encode_file
from dvc_codec.codec.frame_decoder import FrameParser
from dvc_codec.codec.model import Model, load_model
from dvc_codec.codec.verify import check_bytes, verify_file
from dvc_codec.container import FULL_SCALE, Reader, places
from dvc_codec.errors import DamagedFile, OutOfRange, UsageError, WrongVersion
from tests.codec.test_sound import film
from tests.files import kinds_of, pictures_of, write_video
from tests.moving import panned_texture


@pytest.fixture(scope="module")
def model(weights: Path) -> Model:
    return load_model(weights)


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Path:
    """A folder with nine frames in three groups, v.dvc, and what it decodes to, whole.y4m."""
    folder = tmp_path_factory.mktemp("coded")
    source = write_video(folder / "in.y4m", panned_texture(frames=9))
    encode_file(source, folder / "v.dvc", lagrangian=512, gop=3, model=model)
    decode_file(folder / "v.dvc", folder / "whole.y4m", model=model)
    return folder


def flipped(source: Path, target: Path, group: int) -> Path:
    """A bit in the middle of a group is wrong."""
    with Reader(source) as reader:
        place = reader.index[group].offset + 40
    data = bytearray(source.read_bytes())
    data[place] ^= 1
    target.write_bytes(data)
    return target


@pytest.mark.parametrize("group", [0, 1, 2])
def test_one_damaged_group_costs_that_group_only(
    coded: Path, tmp_path: Path, model: Model, group: int
) -> None:
    source = flipped(coded / "v.dvc", tmp_path / "v.dvc", group)
    done = decode_file(source, tmp_path / "out.y4m", model=model)
    assert done.lost == [(3 * group, 3 * group + 2)]
    assert (done.frames, done.lost_frames, done.differing, done.complete) == (9, 3, 0, True)
    whole, out = pictures_of(coded / "whole.y4m"), pictures_of(tmp_path / "out.y4m")
    for number, (a, b) in enumerate(zip(whole, out, strict=True)):
        if number // 3 != group:
            assert a.equals(b)
        elif group:
            assert b.equals(whole[3 * group - 1])
    with pytest.raises(DamagedFile, match="CRC"):
        decode_file(source, tmp_path / "no.y4m", model=model, strict=True)


@pytest.mark.parametrize("other", [{"references": (1,)}, {"scale": 8}])
@pytest.mark.parametrize("number", [0, 1])
def test_what_nobody_writes_yet_is_another_version(
    coded: Path, model: Model, number: int, other: dict[str, Any]
) -> None:
    """Ignored, it would decode to something else."""
    with Reader(coded / "v.dvc") as reader:
        gop, header = reader.read_gop(0), reader.header
    parser = FrameParser(model, header)
    frames = list(zip(gop.frames, places(gop), strict=True))
    for record, place in frames[:number]:
        parser.parse(record, place)
    record, place = frames[number]
    with pytest.raises(WrongVersion, match="another size"):
        parser.parse(replace(record, **other), place)
    parser.parse(replace(record, scale=FULL_SCALE), place)


def test_times_stay_where_they_were(coded: Path, tmp_path: Path, model: Model) -> None:
    source = flipped(coded / "v.dvc", tmp_path / "v.dvc", 1)
    with Decoder(source, model) as decoder:
        assert [shown.frame.pts for shown in decoder.shown()] == list(range(9))
        assert [shown.lost for shown in decoder.shown(2, 3)] == [False, True, True]


def test_every_cut_leaves_the_frames_before_it(coded: Path, tmp_path: Path, model: Model) -> None:
    data = (coded / "v.dvc").read_bytes()
    with Reader(coded / "v.dvc") as reader:
        offsets = [entry.offset for entry in reader.index]
    whole = pictures_of(coded / "whole.y4m")
    most = 0
    for length in range(offsets[0], len(data), 23):
        (tmp_path / "v.dvc").write_bytes(data[:length])
        try:
            done = decode_file(tmp_path / "v.dvc", tmp_path / "out.y4m", model=model)
        except DamagedFile:
            assert most == 0
            continue
        assert not done.complete
        assert done.differing == 0
        assert done.frames >= 3 * sum(length >= offset for offset in offsets[1:])
        assert done.frames >= most
        most = done.frames
        out = pictures_of(tmp_path / "out.y4m")
        # a frame that is coded after a later one may be cut off while the later one is there
        lost = {n for first, last in done.lost for n in range(first, last + 1)}
        assert not lost or max(lost) == len(out) - 2
        assert all(out[n].equals(whole[n]) for n in set(range(len(out))) - lost)
    assert most == 9


def test_a_group_cut_out_of_the_middle_is_shown_as_lost(
    coded: Path, tmp_path: Path, model: Model
) -> None:
    data = (coded / "v.dvc").read_bytes()
    with Reader(coded / "v.dvc") as reader:
        _, second, third = (entry.offset for entry in reader.index)
    (tmp_path / "v.dvc").write_bytes(data[:second] + data[third:-20])
    done = decode_file(tmp_path / "v.dvc", tmp_path / "out.y4m", model=model)
    assert done.lost == [(3, 5)]
    assert done.frames == 9


def test_verify_finds_every_flipped_bit(coded: Path, tmp_path: Path) -> None:
    assert check_bytes(coded / "v.dvc").sound
    data = (coded / "v.dvc").read_bytes()
    for place in range(0, len(data), 11):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        (tmp_path / "v.dvc").write_bytes(changed)
        try:
            assert not check_bytes(tmp_path / "v.dvc").sound, place
        except Exception as error:  # the header: refused at once
            assert place < 120, error


def test_verify_decodes_and_writes_nothing(coded: Path, model: Model) -> None:
    before = sorted(coded.iterdir())
    verdict = verify_file(coded / "v.dvc", model=model)
    assert (verdict.sound, verdict.gops, verdict.frames) == (True, 3, 9)
    assert verdict.pictures is not None and verdict.pictures.differing == 0
    assert sorted(coded.iterdir()) == before


def test_lost_frames_are_counted_in_ranges() -> None:
    from dvc_codec.codec.decoder import Shown
    from dvc_codec.video import Frame

    done = Decoded()
    for number, lost in enumerate([False, True, True, False, True]):
        picture = panned_texture(frames=1)[0]
        done.add(number, Shown(Frame(picture, 0), exact=not lost, lost=lost))
    assert done.lost == [(1, 2), (4, 4)]
    assert done.lost_frames == 3


class Killed(Exception):
    """Stands for whatever stops an encoder."""


@pytest.mark.parametrize(
    ("gop", "after"), [(4, 1), (4, 5), (4, 8), (4, 13), (4, 19), (7, 3), (7, 11)]
)
def test_a_resumed_file_is_the_uninterrupted_one(
    tmp_path: Path, model: Model, gop: int, after: int
) -> None:
    source = film(tmp_path / "in.mkv")
    settings = {"lagrangian": 128.0, "gop": gop, "model": model}
    encode_file(source, tmp_path / "whole.dvc", **settings)  # type: ignore[arg-type]
    assert "B" in kinds_of(tmp_path / "whole.dvc")
    whole_groups = (after - 1) // gop * gop

    def stop(summary: object, _: object) -> None:
        if summary.frames == after:  # type: ignore[attr-defined]
            raise Killed

    target = tmp_path / "v.dvc"
    with pytest.raises(Killed):
        encode_file(source, target, resume=True, progress=stop, **settings)  # type: ignore[arg-type]
    part = tmp_path / "v.dvc.part"
    assert part.exists() and not target.exists()
    if whole_groups:
        shutil.copy(part, tmp_path / "killed.dvc")
        done = decode_file(tmp_path / "killed.dvc", tmp_path / "out.y4m", model=model)
        assert done.frames == whole_groups
    with part.open("ab") as file:
        file.write(part.read_bytes()[-50:])  # half a group that was being written
    summary = encode_file(source, target, resume=True, **settings)  # type: ignore[arg-type]
    assert target.read_bytes() == (tmp_path / "whole.dvc").read_bytes()
    assert summary.resumed == whole_groups
    assert not part.exists()


def test_a_part_of_other_settings_is_not_gone_on_with(tmp_path: Path, model: Model) -> None:
    source = write_video(tmp_path / "in.y4m", panned_texture(frames=4))
    encode_file(source, tmp_path / "v.dvc", gop=2, model=model)
    (tmp_path / "v.dvc").rename(tmp_path / "v.dvc.part")
    with pytest.raises(UsageError, match="settings"):
        encode_file(source, tmp_path / "v.dvc", gop=2, intra="av1", resume=True, model=model)
    other = write_video(tmp_path / "other.y4m", panned_texture(frames=4, size=(66, 48)))
    with pytest.raises(UsageError, match="another video"):
        encode_file(other, tmp_path / "v.dvc", gop=2, resume=True, model=model)


def test_pictures_beyond_the_limit_are_refused_before_memory_is_taken(
    coded: Path, model: Model
) -> None:
    from dvc_codec.codec.limits import Limits

    with pytest.raises(OutOfRange, match="--max-pixels"):
        Decoder(coded / "v.dvc", model, limits=Limits(pixels=64 * 48 - 1))
    with pytest.raises(OutOfRange, match="--max-memory"):
        Decoder(coded / "v.dvc", model, limits=Limits(memory=1 << 20))
