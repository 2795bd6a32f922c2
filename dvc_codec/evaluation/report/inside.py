"""One P frame of a .dvc file taken apart, as a decoder sees it: no source, no encoder."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dvc_codec.codec.look import Insides, look_into
from dvc_codec.codec.model import Model
from dvc_codec.container import FrameKind
from dvc_codec.errors import DamagedFile
from dvc_codec.evaluation.frame_bits import shown_frames
from dvc_codec.video import Picture


@dataclass(frozen=True, eq=False)
class Inside:
    """What a decoder knows of a P frame.

    Args:
        frame: its number.
        decoded: what it shows.
        prediction: what it knew before the residual.
        flow: (2, H, W) in luma pixels, x first; (2, 0, 0) from a network that shows none.
        bits: (ceil(H / 16), ceil(W / 16)), what the symbols of each block cost.
        payload_bits: of the whole frame, in the file.
    """

    frame: int
    decoded: Picture
    prediction: Picture
    flow: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
    bits: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
    payload_bits: int


def take_apart(coded: Path, model: Model, wanted: int) -> Inside:
    """The last P frame up to frame number ``wanted``.

    Raises DamagedFile if there is none.
    """
    records = shown_frames(coded)
    while wanted >= 0 and records[wanted].kind is not FrameKind.P:
        wanted -= 1
    if wanted < 0:
        raise DamagedFile(f"{coded}: has no P frame")
    (facts,) = look_into(coded, model, first=wanted, count=1)
    assert facts.insides is not None  # it is a P frame
    return Inside(
        wanted,
        facts.picture,
        facts.insides.prediction,
        _at_full_size(facts.insides, facts.picture),
        facts.insides.bits,
        8 * sum(map(len, records[wanted].payloads)),
    )


def _at_full_size(
    insides: Insides, picture: Picture
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    if insides.flow is None:
        return np.zeros((2, 0, 0), np.float32)
    height, width = picture.y.shape
    large = insides.flow.repeat(insides.flow_cell, 1).repeat(insides.flow_cell, 2)
    found: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = large[:, :height, :width]
    return found
