import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchmetrics.functional.image as theirs

from dvc_codec.errors import DamagedFile, DvcError, UsageError
from dvc_codec.evaluation.anchors import anchor_named, ffmpeg
from dvc_codec.evaluation.metrics import BEST_PSNR, compare_files, known_extras, squared_errors
from dvc_codec.evaluation.rgb import bt709_rgb
from dvc_codec.evaluation.sequences import Sequence
from dvc_codec.evaluation.similarity import vmaf
from dvc_codec.evaluation.task import write_source
from dvc_codec.video import Picture
from dvc_codec.video.info import FULL_RANGE
from tests.files import write_video
from tests.moving import moving_square, noise, panned_texture


def by_hand(source: list[Picture], decoded: list[Picture]) -> tuple[float, float]:
    """Weighted PSNR and D, written out."""
    psnr, distortion = [], []
    for a, b in zip(source, decoded, strict=True):
        y, u, v = (
            np.mean((p.astype(float) - q.astype(float)) ** 2)
            for p, q in zip(a.planes, b.planes, strict=True)
        )
        psnr.append([10 * np.log10(255**2 / mse) for mse in (y, u, v)])
        distortion.append((6 * y + u + v) / 8 / 255**2)
    y, u, v = np.mean(psnr, axis=0)
    return (6 * y + u + v) / 8, float(np.mean(distortion))


@pytest.mark.parametrize("size", [(64, 48), (65, 33)])
def test_weighted_psnr_and_distortion_are_the_formula(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    source, decoded = panned_texture(size=size, frames=3), noise(size=size, frames=3)
    a, b = write_video(tmp_path / "a.y4m", source), write_video(tmp_path / "b.y4m", decoded)
    quality = compare_files(a, b)
    assert (quality.weighted_psnr, quality.distortion) == pytest.approx(by_hand(source, decoded))
    assert (quality.frames, quality.width, quality.height) == (3, *size)


def test_the_largest_error_does_not_overflow() -> None:
    black = Picture(*(np.zeros(s, np.uint8) for s in ((48, 64), (24, 32), (24, 32))))
    white = Picture(*(np.full(p.shape, 255, np.uint8) for p in black.planes))
    assert squared_errors(black, white) == squared_errors(white, black) == (65025.0,) * 3


def test_a_plane_without_error_counts_as_100_db(tmp_path: Path) -> None:
    source = panned_texture(frames=2)
    decoded = [replace(p, y=p.y ^ 1) for p in source]
    a, b = write_video(tmp_path / "a.y4m", source), write_video(tmp_path / "b.y4m", decoded)
    assert compare_files(a, b).plane_psnr == (pytest.approx(48.1308), BEST_PSNR, BEST_PSNR)
    assert compare_files(a, a).weighted_psnr == BEST_PSNR


def test_files_of_other_length_or_size_are_refused(tmp_path: Path) -> None:
    three = write_video(tmp_path / "3.y4m", moving_square(frames=3))
    four = write_video(tmp_path / "4.y4m", moving_square(frames=4))
    wide = write_video(tmp_path / "w.y4m", moving_square(size=(66, 48), frames=3))
    for source, decoded in ((three, four), (four, three), (three, wide)):
        with pytest.raises(DamagedFile, match=str(decoded if source == three else three)):
            compare_files(source, decoded)
    assert compare_files(four, three, frames=3).frames == 3


def flat(y: int, u: int, v: int) -> Picture:
    """One colour, 6x4."""
    sizes = ((4, 6), (2, 3), (2, 3))
    return Picture(*(np.full(s, c, np.uint8) for s, c in zip(sizes, (y, u, v), strict=True)))


def test_rgb_of_greys_and_primaries_is_bt709() -> None:
    # R, G, B at 100 % in BT.709 limited range, as 8-bit Y, U, V.
    colours = {(255, 0, 0): (63, 102, 240), (0, 255, 0): (173, 42, 26), (0, 0, 255): (32, 240, 118)}
    greys = {(0, 0, 0): (16, 128, 128), (255, 255, 255): (235, 128, 128)}
    for rgb, yuv in (colours | greys).items():
        assert np.abs(bt709_rgb(flat(*yuv)).astype(int) - rgb).max() <= 2
    assert (bt709_rgb(flat(77, 128, 128), FULL_RANGE) == 77).all()


def test_extras_are_measured_when_asked_for(tmp_path: Path) -> None:
    source = panned_texture(size=(176, 176), frames=2)
    near = [replace(p, y=p.y ^ 1) for p in source]
    far = [replace(p, y=p.y ^ 8) for p in source]
    a, b, c = (
        write_video(tmp_path / f"{n}.y4m", v) for n, v in (("a", source), ("b", near), ("c", far))
    )
    assert compare_files(a, b).rgb == compare_files(a, b).ssim == ()
    extras = ("rgb", "ssim", "ms-ssim")
    same, better, worse = (compare_files(a, x, extras=extras) for x in (a, b, c))
    assert same.rgb == (BEST_PSNR,) * 2
    assert same.ssim == pytest.approx((1, 1)) and same.ms_ssim == pytest.approx((1, 1))
    for name in ("rgb", "ssim", "ms_ssim"):
        assert np.mean(getattr(worse, name)) < np.mean(getattr(better, name))
    planes = [torch.from_numpy(p.y)[None, None].float() for p in (far[0], source[0])]
    assert worse.ssim[0] == pytest.approx(
        float(theirs.structural_similarity_index_measure(*planes, data_range=255.0)), abs=1e-5
    )
    assert worse.ms_ssim[0] == pytest.approx(
        float(theirs.multiscale_structural_similarity_index_measure(*planes, data_range=255.0)),
        abs=1e-5,
    )
    # One level of luma is 1.16 of each colour, rounded: 1 mostly, else 2.
    assert better.rgb[0] == pytest.approx(48.13 - 10 * np.log10(1 + 3 * 0.164), abs=0.2)
    small = write_video(tmp_path / "s.y4m", panned_texture(size=(176, 175), frames=1))
    assert compare_files(small, small, extras=extras).ms_ssim == ()
    with pytest.raises(UsageError, match="no metric is called lpips; there are rgb"):
        known_extras(["rgb", "lpips"])


def test_vmaf_is_high_for_the_same_and_falls_with_quality(tmp_path: Path) -> None:
    source = panned_texture(size=(192, 160), frames=3)
    write_video(tmp_path / "a.y4m", source)
    write_video(tmp_path / "b.y4m", [replace(p, y=p.y & 0xE0) for p in source])
    same, worse = (vmaf(Path("a.y4m"), Path(f"{n}.y4m"), tmp_path) for n in "ab")
    assert same > 90 > worse + 10
    with pytest.raises(DvcError, match="VMAF cannot be measured"):
        vmaf(Path("a.y4m"), Path("no.y4m"), tmp_path)


def ffmpeg_psnr(source: Path, decoded: Path, log: Path) -> tuple[float, float, float]:
    """Y, U, V of FFmpeg's psnr filter, the mean over its frames."""
    graph = f"[1:v]settb=AVTB[a];[0:v]settb=AVTB[b];[a][b]psnr=stats_file={log}"
    command = [ffmpeg(), "-v", "error", "-i", source, "-i", decoded, "-lavfi", graph]
    subprocess.run([*map(str, command), "-f", "null", "-"], check=True)
    found = re.findall(r"psnr_y:(\S+) psnr_u:(\S+) psnr_v:(\S+)", log.read_text())
    y, u, v = np.array(found, float).mean(axis=0)
    return y, u, v


@pytest.mark.parametrize("name", ["BasketballPass", "foliage"])
def test_ffmpegs_psnr_filter_agrees_on_real_files(
    tmp_path: Path, shared_data: Path, name: str
) -> None:
    source, coded, decoded = (tmp_path / n for n in ("s.y4m", "c.264", "d.y4m"))
    write_source(Sequence(name, shared_data / "eval" / f"{name}.mp4", 4), source)
    anchor = anchor_named("x264-veryfast")
    subprocess.run(anchor.encode_command(source, coded, 33, 32), check=True)
    subprocess.run(anchor.decode_command(coded, decoded), check=True)
    quality = compare_files(source, decoded)
    assert quality.frames == 4
    theirs = ffmpeg_psnr(source, decoded, tmp_path / "log")
    assert quality.plane_psnr == pytest.approx(theirs, abs=0.01)  # its log has two decimals
