"""Quality of a decoded file against its source, and bits per pixel of a coded one.

Convention: 8-bit planes as they are, no colour conversion; PSNR per plane and frame, then the mean
over frames (not the PSNR of the mean error); the weighted PSNR is (6 Y + U + V) / 8 of those.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from dvc_codec.errors import DamagedFile, UsageError
from dvc_codec.evaluation.rgb import bt709_rgb
from dvc_codec.evaluation.similarity import ssim_and_ms_ssim
from dvc_codec.video import Picture, Plane, open_video

PEAK = 255
BEST_PSNR = 100.0  # dB that a plane without error counts as: its PSNR is infinite
WEIGHTS = (6 / 8, 1 / 8, 1 / 8)
EXTRAS = ("rgb", "ssim", "ms-ssim", "vmaf")  # what may be measured besides PSNR of the planes

YUV = tuple[float, float, float]


@dataclass(frozen=True)
class Quality:
    """What decoding gave, one entry of ``squared_errors`` per frame.

    Args:
        squared_errors: mean squared error of Y, U and V in squared 8-bit levels, per frame.
        width: of the picture in luma samples.
        height: of the picture in luma samples.
        rgb: PSNR of red, green and blue together in dB, per frame; empty if not asked for.
        ssim: of luma, per frame; empty if not asked for.
        ms_ssim: of luma, per frame; empty if not asked for, or if the pictures are too small.
    """

    squared_errors: tuple[YUV, ...]
    width: int
    height: int
    rgb: tuple[float, ...] = ()
    ssim: tuple[float, ...] = ()
    ms_ssim: tuple[float, ...] = ()

    @property
    def frames(self) -> int:
        return len(self.squared_errors)

    @property
    def frame_psnr(self) -> tuple[YUV, ...]:
        """Y, U and V in dB, per frame."""
        return tuple((psnr(y), psnr(u), psnr(v)) for y, u, v in self.squared_errors)

    @property
    def plane_psnr(self) -> YUV:
        """Y, U and V in dB, each the mean over frames."""
        y, u, v = (float(np.mean(plane)) for plane in zip(*self.frame_psnr, strict=True))
        return y, u, v

    @property
    def weighted_psnr(self) -> float:
        """(6 Y + U + V) / 8 in dB."""
        return weighted(self.plane_psnr)

    @property
    def distortion(self) -> float:
        """D of lambda D + R: (6 MSE_Y + MSE_U + MSE_V) / 8 of samples in [0, 1]."""
        return float(np.mean([weighted(errors) for errors in self.squared_errors])) / PEAK**2


def compare_files(
    source: Path, decoded: Path, frames: int | None = None, extras: Collection[str] = ()
) -> Quality:
    """Quality of ``decoded`` against the first ``frames`` frames of ``source``.

    ``extras`` says what to measure besides the planes' PSNR: "rgb", "ssim", "ms-ssim".

    Raises DamagedFile if they do not have the same number of frames of the same size.
    """
    errors: list[YUV] = []
    more: dict[str, list[float]] = {name: [] for name in EXTRAS}
    with open_video(source, frames=frames) as before, open_video(decoded) as after:
        size = before.info.width, before.info.height
        if (found := (after.info.width, after.info.height)) != size:
            raise DamagedFile(f"{decoded}: found pictures of {found}, expected {size} as {source}")
        for was, now in zip_longest(before, after):
            if was is None or now is None:
                longer, fewer = (source, decoded) if now is None else (decoded, source)
                raise DamagedFile(f"{fewer}: ends after {len(errors)} frames, {longer} does not")
            errors.append(squared_errors(was.picture, now.picture))
            if "rgb" in extras:
                colours = before.info.colour.range
                more["rgb"].append(rgb_psnr(was.picture, now.picture, colours))
            if "ssim" in extras or "ms-ssim" in extras:
                one, five = ssim_and_ms_ssim(was.picture.y, now.picture.y)
                more["ssim"] += [one] if "ssim" in extras else []
                more["ms-ssim"] += [five] if "ms-ssim" in extras and five is not None else []
    return Quality(
        tuple(errors), *size, tuple(more["rgb"]), tuple(more["ssim"]), tuple(more["ms-ssim"])
    )


def known_extras(names: Collection[str]) -> tuple[str, ...]:
    """The names themselves, in our order; raises UsageError for one that is none."""
    if unknown := [name for name in names if name not in EXTRAS]:
        raise UsageError(f"no metric is called {unknown[0]}; there are {', '.join(EXTRAS)}")
    return tuple(name for name in EXTRAS if name in names)


def rgb_psnr(a: Picture, b: Picture, colour_range: int = 0) -> float:
    """PSNR in dB over red, green and blue (BT.709, see rgb.bt709_rgb)."""
    return psnr(_mean_square(bt709_rgb(a, colour_range), bt709_rgb(b, colour_range)))


def squared_errors(a: Picture, b: Picture) -> YUV:
    """Mean squared error of Y, U and V, in squared 8-bit levels."""
    y, u, v = (_mean_square(p, q) for p, q in zip(a.planes, b.planes, strict=True))
    return y, u, v


def psnr(squared_error: float) -> float:
    """Of a mean squared error in squared 8-bit levels, in dB.

    >>> round(psnr(1.0), 2), psnr(0.0)
    (48.13, 100.0)
    """
    if squared_error <= 0:
        return BEST_PSNR
    return min(BEST_PSNR, 10 * math.log10(PEAK**2 / squared_error))


def weighted(planes: YUV) -> float:
    """(6 Y + U + V) / 8 of anything.

    >>> weighted((40.0, 44.0, 36.0))
    40.0
    """
    return sum(w * p for w, p in zip(WEIGHTS, planes, strict=True))


def bits_per_pixel(file_bytes: int, width: int, height: int, frames: int) -> float:
    """All bits of a file over all luma pixels.

    >>> bits_per_pixel(1000, 100, 80, 10)
    0.1
    """
    return 8 * file_bytes / (width * height * frames)


def _mean_square(a: Plane, b: Plane) -> float:
    difference = np.subtract(a, b, dtype=np.int16).astype(np.int32)
    return float(np.mean(difference * difference, dtype=np.float64))
