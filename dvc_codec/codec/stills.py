"""I frames beyond what their still codec makes of them: the filter of the weights, and its use.

A filtered I frame has a second payload, one byte: the filter's strength (docs/format.md).
"""

import math
from collections.abc import Sequence

import torch

from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.codec.pictures import to_picture, to_planes
from dvc_codec.errors import DamagedFile
from dvc_codec.networks.distortion import distortion, structural_distortion
from dvc_codec.networks.planes import Planes
from dvc_codec.networks.similarity import SMALLEST
from dvc_codec.networks.still_filter import STRENGTHS, strength_for
from dvc_codec.video import Picture

# Rows of luma that are filtered at a time, and those above and below that the filter sees besides:
# more than the 24 that it reaches
ROWS, BESIDE = 512, 32


def refine(
    codec: PFrameCodec, source: Picture, decoded: Picture, lambda_intra: float
) -> tuple[tuple[bytes, ...], Picture]:
    """Encoder: filter a decoded I frame where that brings it nearer to its source.

    Args:
        codec: whose filter it is; one without leaves the picture as it is.
        source: what it is to be.
        decoded: what the still codec makes of it.
        lambda_intra: what it was coded at, which says how strong the filter should be.

    Returns:
        (the payloads that tell a decoder, the picture that it will have).
    """
    if codec.stills is None:
        return (), decoded
    strength = strength_for(math.log2(lambda_intra))
    filtered = _filtered(codec, decoded, strength)
    wanted = to_planes(source)
    structural = codec.network.metric == "ms-ssim"
    costs = [_cost(to_planes(picture), wanted, structural) for picture in (decoded, filtered)]
    if costs[1] < costs[0]:
        return (bytes([strength]),), filtered
    return (), decoded


def refined(codec: PFrameCodec, decoded: Picture, told: Sequence[bytes]) -> Picture:
    """Decoder: the picture of an I frame with these further payloads.

    Raises:
        DamagedFile: they are not what :func:`refine` writes, or these weights have no filter.
    """
    if not told:
        return decoded
    if len(told) > 1 or len(told[0]) != 1 or told[0][0] >= STRENGTHS:
        raise DamagedFile("an I frame's second payload is no strength of a filter")
    if codec.stills is None:
        raise DamagedFile("an I frame is filtered, and these weights have no filter for it")
    return _filtered(codec, decoded, told[0][0])


def _filtered(codec: PFrameCodec, picture: Picture, strength: int) -> Picture:
    """In strips: on the half-size grid a large picture would take gigabytes."""
    assert codec.stills is not None
    planes, told = to_planes(picture), torch.tensor([strength])
    height = planes.luma.shape[-2]
    strips = []
    for top in range(0, height, ROWS):
        above, below = min(top, BESIDE), min(max(height - top - ROWS, 0), BESIDE)
        rows = min(ROWS, height - top)
        seen = _rows(planes, top - above, above + rows + below)
        strips.append(_rows(codec.stills(seen, told, codec.network.fast), above, rows))
    whole = Planes(*(torch.cat(parts, -2) for parts in zip(*strips, strict=True)))
    return to_picture(whole, picture.height, picture.width)


def _rows(planes: Planes, first: int, count: int) -> Planes:
    """So many rows of luma and those of chroma beside them; even numbers."""
    luma, chroma = planes
    return Planes(luma.narrow(-2, first, count), chroma.narrow(-2, first // 2, count // 2))


def _cost(picture: Planes, wanted: Planes, structural: bool) -> float:
    """D; by structure, where that is meant and the picture is large enough for it."""
    large = min(picture.luma.shape[-2:]) >= SMALLEST
    return float((structural_distortion if structural and large else distortion)(picture, wanted))
