"""Between pictures of a video (numpy, any size) and planes of a network (torch, padded)."""

from dataclasses import replace
from typing import Any, TypeVar, cast

import numpy as np
import torch

from dvc_codec.container import picture_hash
from dvc_codec.networks.interface import Reference
from dvc_codec.networks.planes import Planes, from_bytes, to_bytes
from dvc_codec.video import Picture

R = TypeVar("R", bound=Reference)


def to_planes(picture: Picture) -> Planes:
    """A picture as a batch of one, padded to the networks' grid."""
    chroma = torch.stack((torch.from_numpy(picture.u), torch.from_numpy(picture.v)))
    return from_bytes(torch.from_numpy(picture.y)[None, None], chroma[None])


def displayed(reference: Reference, height: int, width: int) -> Picture:
    """The picture that a decoder shows of a frame."""
    shown = reference.picture if reference.shown is None else reference.shown
    return to_picture(shown, height, width)


def without_displayed(reference: R) -> R:
    """What has to be remembered of a reference once its picture is shown."""
    return cast(R, replace(cast(Any, reference), shown=None))


def hash_of(picture: Picture) -> int:
    """The hash that a file records of a decoded picture."""
    return picture_hash(*(np.ascontiguousarray(plane).data for plane in picture.planes))


def to_picture(planes: Planes, height: int, width: int) -> Picture:
    """The inverse of :func:`to_planes`: rounded to 8 bits and cropped."""
    luma, chroma = to_bytes(planes, height, width)
    u, v = chroma[0].contiguous().numpy()
    return Picture(luma[0, 0].contiguous().numpy(), u, v)
