import hashlib
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvc_codec.errors import DamagedFile, DvcError, OutOfRange, WrongVersion
from dvc_codec.intra import (
    LEARNED_ID,
    by_id,
    cost,
    encode_for_lambda,
    get,
    lambda_ratio,
    nal,
    names,
    vvenc,
)
from dvc_codec.intra import hevc as hevc_module
from dvc_codec.intra import vvc as vvc_module
from dvc_codec.intra.still import encode_still
from dvc_codec.video import Picture

CODECS = ("hevc", "av1", "vvc")
NEEDS_VVENC = pytest.mark.skipif(
    vvenc.program() is None, reason="needs an FFmpeg program with libvvenc (imageio-ffmpeg)"
)
ENCODERS = ("hevc", "av1", pytest.param("vvc", marks=NEEDS_VVENC))
# waves(96, 80) at QP 21 and effort 1, as VVenC wrote it in 2026: 1,045 bytes
GOLDEN_VVC = Path(__file__).with_name("waves-96x80.vvc")
GOLDEN_PICTURE = "c9fa1e53f1b07fa5985dc2905c66ba549905500b4153f2c9e2a60506a8d19320"
TALL = ((8800, 8), (4400, 4), (4400, 4))
SIZES = [(1, 1), (2, 3), (16, 16), (17, 33), (64, 64), (65, 130), (208, 120), (301, 77)]


def waves(width: int, height: int) -> Picture:
    """Smooth waves with an edge and some grain: something of all that pictures have."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    grain = np.random.default_rng(width * 1000 + height).normal(0, 2, (height, width))
    y = 120 + 60 * np.sin(columns / 9 + rows / 23) + grain + 40 * (columns > rows)
    u = 128 + 30 * np.sin(columns / 31)
    v = 128 + 30 * np.cos(rows / 17)
    return Picture(_samples(y), _samples(u)[::2, ::2].copy(), _samples(v)[::2, ::2].copy())


def _samples(plane: np.ndarray) -> np.ndarray:
    return plane.round().clip(0, 255).astype(np.uint8)


def psnr(one: Picture, other: Picture) -> float:
    """Of D = (6 MSE_Y + MSE_U + MSE_V) / 8."""
    return -10 * math.log10(max(cost(one, other, 0, 1.0), 1e-9))


def test_ids_in_files_do_not_change() -> None:
    assert names() == CODECS
    assert [get(name).id for name in CODECS] == [1, 2, 4]
    assert all(by_id(get(name).id).name == name for name in CODECS)
    assert LEARNED_ID == 3


def test_unknown_codecs_are_refused() -> None:
    with pytest.raises(OutOfRange, match="hevc, av1, vvc"):
        get("jpeg")
    with pytest.raises(WrongVersion):
        by_id(LEARNED_ID)


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_size_comes_back(name: str, width: int, height: int) -> None:
    picture = waves(width, height)
    codec = get(name)
    decoded = codec.decode(codec.encode(picture, 20), width, height)
    assert (decoded.width, decoded.height) == (width, height)
    assert psnr(picture, decoded) > 36


@pytest.mark.parametrize("name", ENCODERS)
def test_quality_and_size_rise_with_lambda(name: str) -> None:
    picture = waves(208, 120)
    coded = [encode_for_lambda(picture, lam, name) for lam in (16, 64, 256, 1024, 4096)]
    quality = [psnr(picture, decoded) for _, _, decoded in coded]
    sizes = [len(data) for _, data, _ in coded]
    assert quality == sorted(set(quality))
    assert sizes == sorted(set(sizes))
    assert quality[-1] > 42


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("lam", [1, 64, 4096, 1e9])
def test_qp_stays_in_range(name: str, lam: float) -> None:
    assert get(name).qp_for(lam) in get(name).qp_range


@pytest.mark.parametrize("name", ENCODERS)
def test_the_qp_of_a_lambda_is_nearly_the_best(name: str) -> None:
    """Its neighbours but one are worse than it, or hardly better."""
    picture = waves(208, 120)
    codec = get(name)

    def at(qp: int) -> float:
        data = codec.encode(picture, qp)
        return cost(picture, codec.decode(data, 208, 120), len(data), 2048)

    best = codec.qp_for(2048)
    assert at(best) < 1.03 * min(at(best - 4), at(best + 4))


@pytest.mark.parametrize("name", CODECS)
def test_a_qp_out_of_range_is_refused(name: str) -> None:
    with pytest.raises(OutOfRange, match="QP 64"):
        get(name).encode(waves(64, 64), 64)


def test_auto_takes_the_cheaper() -> None:
    picture = waves(208, 120)
    costs = {
        name: cost(picture, decoded, len(data), lambda_ratio(512) * 512)
        for name in CODECS
        if name != "vvc" or vvenc.program() is not None
        for _, data, decoded in [encode_for_lambda(picture, 512, name)]
    }
    assert encode_for_lambda(picture, 512)[0] == min(costs, key=lambda name: costs[name])


def test_auto_does_without_a_codec_that_refuses(capfd: pytest.CaptureFixture[str]) -> None:
    tall = Picture(*(np.full((rows, 8), 90, np.uint8)[:, :columns] for rows, columns in TALL))
    with pytest.raises(OutOfRange, match="libsvtav1 cannot code a picture of 8 x 8800"):
        encode_for_lambda(tall, 256, "av1")
    assert encode_for_lambda(tall, 256)[0] in ("hevc", "vvc")
    assert capfd.readouterr().err == ""


def test_an_i_frame_is_worth_the_more_the_more_frames_follow() -> None:
    ratios = [lambda_ratio(512, frames=frames) for frames in (1, 2, 8, 32)]
    assert 0.9 < ratios[0] < ratios[1] < ratios[2] < ratios[3]
    assert lambda_ratio(512, frames=100) == ratios[3] == lambda_ratio(512)


def test_lambda_must_be_positive() -> None:
    with pytest.raises(OutOfRange):
        encode_for_lambda(waves(64, 64), 0)


@pytest.mark.parametrize("name", ENCODERS)
def test_a_second_process_makes_and_decodes_the_same_bytes(name: str, tmp_path: Path) -> None:
    picture = waves(145, 99)
    _, data, decoded = encode_for_lambda(picture, 512, name)
    assert encode_for_lambda(picture, 512, name)[1] == data
    (tmp_path / "payload").write_bytes(data)
    script = (
        "import sys, hashlib, pathlib; from dvc_codec.intra import *; "
        "from tests.intra.test_intra import waves; "
        "data = pathlib.Path(sys.argv[2]).read_bytes(); "
        "assert encode_for_lambda(waves(145, 99), 512, sys.argv[1])[1] == data; "
        "decoded = get(sys.argv[1]).decode(data, 145, 99); "
        "print(hashlib.sha256(decoded.to_bytes()).hexdigest())"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, name, str(tmp_path / "payload")],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert run.stdout.strip() == hashlib.sha256(decoded.to_bytes()).hexdigest(), run.stderr
    assert run.stderr == ""


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="Linux's scheduling policies")
@pytest.mark.parametrize("name", ENCODERS)
def test_our_scheduling_is_as_it_was(name: str) -> None:
    """Run by root, SVT-AV1 makes its caller a real-time thread: the machine stands still."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    get(name).encode(waves(64, 64), get(name).qp_range[-1])
    assert (os.sched_getscheduler(0), os.sched_getparam(0)) == before


def test_hevc_carries_no_parameter_sets() -> None:
    picture = waves(208, 120)
    stream = encode_still(picture, "libx265", {"x265-params": "log-level=none"})
    payload = get("hevc").encode(picture, 30)
    assert payload[0] == hevc_module.KNOWN_SETS
    assert b"\x42\x01\x01" in stream
    assert b"\x42\x01\x01" not in payload


def test_hevc_parameter_sets_of_another_kind_are_noticed() -> None:
    """What x265 may one day write is kept whole rather than guessed."""
    assert hevc_module._lone_slice(b"\0\0\0\1\x42\x01\x01\0\0\1\x44\x01", 64, 64) is None


def test_hevc_decodes_a_whole_stream() -> None:
    picture = waves(208, 120)
    options = {"x265-params": "log-level=none:info=1:qp=20:ctu=32:no-sao=1"}
    stream = encode_still(picture, "libx265", options)
    assert hevc_module._lone_slice(stream, 208, 120) is None
    decoded = get("hevc").decode(bytes([hevc_module.OWN_SETS]) + stream, 208, 120)
    assert psnr(picture, decoded) > 36


def test_av1_decodes_a_whole_stream() -> None:
    picture = waves(208, 120)
    stream = encode_still(picture, "libsvtav1", {"preset": "8", "crf": "20"})
    assert psnr(picture, get("av1").decode(b"\0" + stream, 208, 120)) > 36


def test_av1_of_several_pictures_is_refused_before_decoding() -> None:
    stream = encode_still(waves(208, 120), "libsvtav1", {"preset": "8", "crf": "20"})
    with pytest.raises(DamagedFile, match="an AV1 stream of 40 frames"):
        get("av1").decode(b"\0" + 40 * stream, 208, 120)
    for rubbish in (b"", b"\xff" * 20, b"\x32", b"\x32\xff\xff\xff\xff\xff\xff\xff\xff\xff"):
        with pytest.raises(DamagedFile):
            get("av1").decode(b"\0" + rubbish, 208, 120)


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("form", [b"", b"\0", b"\1", b"\2\0", b"\7"])
@settings(max_examples=10, deadline=None, derandomize=True)
@given(rubbish=st.binary(max_size=200))
def test_rubbish_raises_damaged_file(name: str, form: bytes, rubbish: bytes) -> None:
    with pytest.raises(DamagedFile):
        get(name).decode(form + rubbish, 64, 64)


@pytest.mark.parametrize("name", ENCODERS)
def test_a_wrong_size_raises_damaged_file_or_gives_that_size(name: str) -> None:
    data = get(name).encode(waves(208, 120), 30)
    for width, height in ((64, 64), (416, 240), (120, 208)):
        try:
            decoded = get(name).decode(data, width, height)
        except DamagedFile:
            continue
        assert (decoded.width, decoded.height) == (width, height)


@pytest.mark.parametrize("name", ENCODERS)
def test_damaged_bytes_never_crash_nor_talk(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    codec = get(name)
    data = codec.encode(waves(96, 80), 30)
    for place in range(0, len(data), max(1, len(data) // 60)):
        for damaged in (
            data[:place],
            data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :],
            data[:place] + b"\0\0\1" + data[place:],
        ):
            try:
                assert codec.decode(damaged, 96, 80).width == 96
            except DvcError as error:
                assert "\n" not in str(error)
    assert capfd.readouterr().err == ""


def test_more_search_costs_less() -> None:
    picture = waves(160, 112)
    lam = 512 * lambda_ratio(512)
    costs = []
    for codec in ("av1", "auto", "best"):
        _, data, decoded = encode_for_lambda(picture, 512, codec)
        costs.append(cost(picture, decoded, len(data), lam))
    assert costs[2] <= costs[1] < costs[0]
    for name in CODECS:
        if name == "vvc" and vvenc.program() is None:
            continue
        found = get(name)
        quick = found.encode(picture, 30)
        for effort in (1, 2):
            data = found.encode(picture, 30, effort)
            assert data != quick
            assert found.decode(data, 160, 112).width == 160


def test_a_golden_vvc_payload_decodes_to_the_same_for_ever() -> None:
    decoded = get("vvc").decode(GOLDEN_VVC.read_bytes(), 96, 80)
    assert hashlib.sha256(decoded.to_bytes()).hexdigest() == GOLDEN_PICTURE
    assert psnr(waves(96, 80), decoded) > 40


@NEEDS_VVENC
@pytest.mark.parametrize("structural", [False, True])
@pytest.mark.parametrize("effort", [0, 1, 2])
def test_vvc_carries_no_parameter_sets(effort: int, structural: bool) -> None:
    for width, height in ((208, 120), (97, 33)):
        picture = waves(width, height)
        payload = get("vvc").encode(picture, 30, effort, structural)
        assert payload[0] == (3, 1, 2)[effort] + 3 * structural
        assert psnr(picture, get("vvc").decode(payload, width, height)) > 30
        for header in (b"\x00\x79", b"\x00\x81", b"\x00\xa1"):
            assert header not in payload[:40]
        assert b"warning" not in payload  # VVenC prints some


@NEEDS_VVENC
def test_vvc_parameter_sets_of_another_kind_are_kept() -> None:
    """What VVenC may one day write, within what is safe to decode."""
    picture = waves(208, 120)
    payload = vvc_module._payload(vvenc.encode(picture, 20, "fast", "ALF=0:SAO=0"), 208, 120)
    assert payload[0] == vvc_module.OWN_SETS
    assert psnr(picture, get("vvc").decode(payload, 208, 120)) > 36


def test_the_format_has_the_parameter_sets_of_vvc() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "format.md").read_text()
    for unit in vvc_module._sets(1, 96, 80):
        assert f"`{unit.hex(' ').upper()}`" in text
    sps_tails = (tail for _, tail in vvc_module._SPS_TAILS.values())
    for tail in (*sps_tails, *vvc_module._PPS_TAILS):
        assert f"`{bytes.fromhex(tail).hex(' ').upper()}`" in text


def own_sets(width: int, height: int) -> bytes:
    """The golden payload, with the sets of pictures of a size in it."""
    sets = b"".join(map(vvc_module._sized, vvc_module._sets(1, width, height)))
    return bytes([vvc_module.OWN_SETS]) + sets + GOLDEN_VVC.read_bytes()[1:]


def test_vvc_decodes_own_parameter_sets() -> None:
    decoded = get("vvc").decode(own_sets(96, 80), 96, 80)
    assert hashlib.sha256(decoded.to_bytes()).hexdigest() == GOLDEN_PICTURE


def test_vvc_parameter_sets_of_another_size_are_refused_before_decoding() -> None:
    with pytest.raises(DamagedFile, match="parameter sets of another kind or size"):
        get("vvc").decode(own_sets(16384, 16384), 96, 80)


@pytest.mark.parametrize("code", [b"\0\0\0", b"\0\0\1", b"\0\0\2"])
def test_a_start_code_in_vvc_is_refused_before_decoding(code: bytes) -> None:
    payload = GOLDEN_VVC.read_bytes()
    for damaged in (payload + code + b"\x00\x41" + payload[4:], payload[:8] + code + payload[11:]):
        with pytest.raises(DamagedFile, match="start code"):
            get("vvc").decode(damaged, 96, 80)


def test_other_units_in_place_of_vvc_filters_are_refused() -> None:
    """A payload cannot bring a second slice, nor sets after its own."""
    for header in (b"\x00\x41", b"\x00\x79", b"\x01\x89", b""):
        unit = vvc_module._sized(header)
        with pytest.raises(DamagedFile, match="among adaptation parameter sets"):
            get("vvc").decode(b"\1\1" + unit + GOLDEN_VVC.read_bytes()[4:], 96, 80)


def test_what_a_vvc_payload_cannot_hold_is_refused() -> None:
    sets = vvc_module._sets(1, 96, 80)
    slice_, picture_header = b"\x00\x41\x80", b"\x00\x99\x80"
    for units in ([], [slice_], sets, [*sets, slice_, slice_], [*sets, picture_header, slice_]):
        stream = b"".join(nal.START_CODE + unit for unit in units)
        with pytest.raises(OutOfRange, match="no place for"):
            vvc_module._payload(stream, 96, 80)


def test_without_vvenc_auto_does_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = waves(96, 80)
    monkeypatch.setattr(vvenc, "program", lambda: None)
    with pytest.raises(OutOfRange, match="pip install imageio-ffmpeg"):
        encode_for_lambda(picture, 512, "vvc")
    ratio = lambda_ratio(512)
    for codec, effort in (("auto", 1), ("best", 2)):
        coded = [
            (name, get(name).encode(picture, get(name).qp_for(512 * ratio), effort))
            for name in ("hevc", "av1")
        ]
        assert encode_for_lambda(picture, 512, codec)[:2] in coded


def test_a_vvenc_that_fails_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vvenc, "program", lambda: sys.executable)  # does not know our words
    with pytest.raises(OutOfRange, match="libvvenc cannot code a picture of 96 x 80"):
        get("vvc").encode(waves(96, 80), 30)
    assert encode_for_lambda(waves(96, 80), 512)[0] in ("hevc", "av1")


def test_an_ffmpeg_without_vvenc_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for other in (sys.executable, "no-such-program"):
        monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", other)
        assert vvenc.program.__wrapped__() is None


@NEEDS_VVENC
def test_ms_ssim_takes_vvc_that_spends_by_what_eyes_see() -> None:
    name, data, _ = encode_for_lambda(waves(96, 80), 512, structural=True)
    assert (name, data[0]) == ("vvc", 4)


def test_ms_ssim_takes_av1_where_there_is_no_vvenc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vvenc, "program", lambda: None)
    assert encode_for_lambda(waves(96, 80), 512, structural=True)[0] == "av1"
