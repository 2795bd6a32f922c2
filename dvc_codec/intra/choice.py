"""Which I-frame codec a picture is coded with: the one with the lower lambda D + R."""

import math

import numpy as np

from dvc_codec.errors import OutOfRange
from dvc_codec.intra import vvenc
from dvc_codec.intra.registry import get
from dvc_codec.video import Picture, Plane

# Names for the cheapest of several codecs, and how much each of them searches. VVC wins nearly
# always, so the time goes there.
EFFORTS = {
    "auto": {"vvc": 1, "av1": 0, "hevc": 0},
    "best": {"vvc": 2, "av1": 1, "hevc": 1},
}
EFFORTS_WITHOUT_VVC = {"auto": {"av1": 1, "hevc": 1}, "best": {"av1": 2, "hevc": 2}}
# For MS-SSIM, the best first: AV1 tuned for it takes 5 % more bits than VVC, HEVC 14 to 28 % more
# than AV1 (docs/experiments.md#ms-ssim).
EFFORTS_STRUCTURAL = {
    "auto": {"vvc": 1, "av1": 1, "hevc": 1},
    "best": {"vvc": 2, "av1": 2, "hevc": 2},
}

USUAL_GROUP = 32  # frames, that these ratios are measured for; more do not matter more
# of lambdas, at lambda 512, and the power of lambda that it grows with
RATIO, RATIO_STRUCTURAL = (13.5, 0.2), (8.6, 0.31)


def lambda_ratio(lam: float, structural: bool = False, frames: int = USUAL_GROUP) -> float:
    """How much finer I frames are than P frames, which inherit their quality.

    Measured over GOPs of 32 (docs/experiments.md#i-ratio), for MS-SSIM (``structural``) with its
    own weights (docs/experiments.md#ms-ssim). An I frame that ``frames`` are all to have is worth
    less where these are few, down to nothing more than itself.
    """
    inherited = math.pow(min(frames, USUAL_GROUP) / USUAL_GROUP, 0.75)
    ratio, power = RATIO_STRUCTURAL if structural else RATIO
    return ratio * math.pow(lam / 512, power) * inherited


def encode_for_lambda(
    picture: Picture,
    lam: float,
    codec: str = "auto",
    *,
    ratio: float | None = None,
    structural: bool = False,
) -> tuple[str, bytes, Picture]:
    """Code an I frame for a GOP whose P frames are coded at ``lam``.

    Args:
        picture: what to code.
        lam: the P frames' lambda, in the units of ``cost``.
        codec: a name of the registry, for its quickest search; "auto" for the cheapest of all of
            them, some of which search longer; "best" to let them search longer still.
        ratio: lambda of the I frame over ``lam``; ``lambda_ratio`` by default.
        structural: for MS-SSIM: "auto" and "best" are then the best codec for that which is there
            and takes the picture.

    Returns:
        (name of the codec, payload, the picture that a decoder makes of it).
    """
    if not lam > 0:
        raise OutOfRange(f"lambda is {lam}; it must be above 0")
    ratio = lambda_ratio(lam, structural) if ratio is None else ratio
    if codec not in EFFORTS:
        return _coded(picture, lam * ratio, codec, structural=structural)
    tried: list[tuple[str, bytes, Picture]] = []
    refusals: list[Exception] = []
    with_vvc = vvenc.program() is not None
    by_squares = EFFORTS if with_vvc else EFFORTS_WITHOUT_VVC
    for name, effort in (EFFORTS_STRUCTURAL if structural else by_squares)[codec].items():
        if structural and tried:
            break
        try:
            tried.append(_coded(picture, lam * ratio, name, effort, structural))
        except OutOfRange as error:  # SVT-AV1 takes no picture higher than 8704; no VVenC here
            refusals.append(error)
    if not tried:
        raise refusals[0]
    return min(tried, key=lambda one: cost(picture, one[2], len(one[1]), lam * ratio))


def cost(picture: Picture, decoded: Picture, size: int, lam: float) -> float:
    """lam D + R of ``decoded``, which took ``size`` bytes.

    D = (6 MSE_Y + MSE_U + MSE_V) / 8 with samples from 0 to 1; R in bits per luma sample.
    """
    y, u, v = (_mse(*planes) for planes in zip(picture.planes, decoded.planes, strict=True))
    return lam * (6 * y + u + v) / 8 + 8 * size / picture.y.size


def _coded(
    picture: Picture, lambda_intra: float, name: str, effort: int = 0, structural: bool = False
) -> tuple[str, bytes, Picture]:
    codec = get(name)
    qp = codec.qp_for(lambda_intra, structural)
    data = codec.encode(picture, qp, effort, structural)
    return name, data, codec.decode(data, picture.width, picture.height)


def _mse(one: Plane, other: Plane) -> float:
    difference = one.astype(np.float32) - other
    return float(np.mean(difference * difference, dtype=np.float64)) / 255**2
