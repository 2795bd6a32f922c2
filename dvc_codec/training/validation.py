"""Validation: whole sequences at fixed rates, by the loss and by real bytes."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dvc_codec.codec.importance import of_frame, rate_of_frame
from dvc_codec.codec.memory import PictureMemory
from dvc_codec.codec.p_frame import PFrameCodec, code_frame
from dvc_codec.container import Place, group_order
from dvc_codec.errors import FileMissing
from dvc_codec.networks.distortion import distortion
from dvc_codec.networks.planes import Planes
from dvc_codec.networks.rate import lagrangian, lambda_at
from dvc_codec.training.absent import present
from dvc_codec.training.clips import ClipSet, as_picture, split
from dvc_codec.training.crops import batch, whole
from dvc_codec.training.intra_frames import IntraBank, as_shown, hevc_intra
from dvc_codec.training.loss import bits_per_pixel

Order = tuple[Place, ...]
UNPLANNED = 2  # frames from anchor to anchor where the encoder's own plan cannot be made
VIDEOS = (".mp4", ".mkv", ".mov", ".webm", ".avi", ".y4m")


@dataclass(frozen=True)
class Case:
    """A sequence at a rate.

    Attributes:
        pictures: uint8 (frames, 3 H / 2, W): one group, the first is the I frame's source.
        rate: index of the group; frames have theirs around it, as in the encoder.
        order: the places of all pictures in coding order. A codec without B frames codes one
            after the other, whatever it says.
        intra: uint8 (3 H / 2, W) as decoded; None: to be coded.
    """

    pictures: Tensor
    rate: int
    order: Order
    intra: Tensor | None = None


def order_of(pictures: Tensor, between: int | None = None) -> Order:
    """The places of a group's pictures in the order that the encoder codes them in.

    Args:
        pictures: uint8 (frames, 3 H / 2, W).
        between: the most B frames in a row; None: as many as the encoder makes.

    Without PyAV, which the encoder's plan needs, every ``UNPLANNED``-th picture is an anchor.
    """
    if between == 0 or not present("av"):
        return tuple(group_order(len(pictures), UNPLANNED if between != 0 else 1))
    from dvc_codec.codec.order import MOST_BETWEEN, plan
    from dvc_codec.video import Frame

    frames = (Frame(as_picture(*split(planar)), n) for n, planar in enumerate(pictures))
    most = MOST_BETWEEN if between is None else between
    planned = plan(frames, len(pictures), scene_cuts=False, between=most)
    return tuple(frame.place for frame in planned)


def cases_of_clips(
    clips: ClipSet, frames: int, rates: Sequence[int], between: int | None = None
) -> list[Case]:
    """Every clip at every rate."""
    return _at_rates([pictures[:frames] for pictures in clips.pictures], rates, between)


def cases_of_bank(
    clips: ClipSet,
    bank: IntraBank,
    first: int,
    frames: int,
    rates: Sequence[int],
    between: int | None = None,
) -> list[Case]:
    """Clips from number ``first`` on that have an I frame in the bank, at its own rate: the first
    entry of each clip at the rates nearest to ``rates``.
    """
    cases = []
    for rate in rates:
        seen: set[int] = set()
        for entry in bank.near(rate):
            clip, begin = int(bank.clips[entry]), int(bank.frames[entry])
            if clip < first or clip in seen or begin + 2 > clips.pictures.shape[1]:
                continue
            seen.add(clip)
            pictures = clips.pictures[clip, begin:][:frames]
            order = order_of(pictures, between)
            cases.append(Case(pictures, int(bank.rates[entry]), order, bank.pictures[entry]))
    return cases


def cases_of_videos(
    folder: Path, frames: int, rates: Sequence[int], between: int | None = None
) -> list[Case]:
    """The start of every video in a folder at every rate; odd sizes are cropped to even ones."""
    from dvc_codec.video import open_video

    files = [p for p in sorted(folder.glob("*")) if p.suffix.lower() in VIDEOS]
    if not files:
        raise FileMissing(f"{folder}: found no video to validate on")
    clips = []
    for path in files:
        with open_video(path, frames=frames) as reader:
            clips.append(torch.from_numpy(np.stack([_planar(*f.picture.planes) for f in reader])))
    return _at_rates(clips, rates, between)


def _at_rates(clips: Sequence[Tensor], rates: Sequence[int], between: int | None) -> list[Case]:
    orders = [order_of(pictures, between) for pictures in clips]
    return [Case(c, r, order) for c, order in zip(clips, orders, strict=True) for r in rates]


@torch.inference_mode()
def measure_loss(codec: PFrameCodec, case: Case, device: torch.device) -> dict[str, float]:
    """Means over P and B frames: lambda D + R by estimated bits, bits per pixel, PSNR, and how much
    PSNR the last quarter, in display order, lost against the first. Frames have the rates that the
    encoder gives them; lambda is the group's.
    """
    first = case.pictures[0]
    if case.intra is not None:
        coded_first: Planes = whole(case.intra.to(device))
    else:
        luma, chroma = hevc_intra(*split(first), lambda_at(case.rate))
        coded_first = batch([(luma.to(device), chroma.to(device))])
    coded_first = as_shown(codec, coded_first, torch.tensor([case.rate], device=device))
    state, references = codec.start(coded_first), PictureMemory(codec)
    references.begin(coded_first)
    group, anchors = torch.tensor([case.rate], device=device), 1
    rows: dict[int, Tensor] = {}
    for place in _order_for(codec, case)[1:]:
        if place.future is None and place.past is not None:
            anchors = place.number - place.past
        current = whole(case.pictures[place.number].to(device))
        about = place, anchors, len(case.pictures)
        known = replace(state, reference=references.of(place))
        index, importance = rate_of_frame(*about, group), of_frame(*about, None)
        coded = code_frame(codec, current, known, index, importance=importance)
        state = coded.state
        references.add(place, state.reference)
        motion, residual = bits_per_pixel(coded, current)
        d = distortion(state.reference.picture, current)
        predicted = distortion(coded.prediction.picture, current)
        cost = lagrangian(group) * d + motion + residual
        rows[place.number] = torch.cat((cost, motion, residual, d, predicted))
    table = torch.stack([rows[number] for number in sorted(rows)]).double().cpu()
    rd, motion_bits, residual_bits, _, _ = table.mean(0).tolist()
    psnr, predicted_psnr = (-10 * table[:, 3:].clamp(min=1e-9).log10()).T
    quarter = max(1, len(rows) // 4)
    return {
        "rd": rd,
        "motion": motion_bits,
        "residual": residual_bits,
        "psnr": float(psnr.mean()),
        "psnr_predicted": float(predicted_psnr.mean()),
        "psnr_lost": float(psnr[:quarter].mean() - psnr[-quarter:].mean()),
    }


@torch.inference_mode()
def measure_bytes(codec: PFrameCodec, case: Case) -> dict[str, float]:
    """The whole sequence, I frame and all, through the encoder: bits per pixel of its payloads,
    PSNR of the decoded planes, lambda D + R; pictures as they are, without the encoder's temporal
    filter. {} where numba or PyAV is not installed.
    """
    if not (present("av") and present("numba")):
        return {}
    from dvc_codec.codec.frame_encoder import FrameEncoder
    from dvc_codec.codec.model import Model
    from dvc_codec.networks.rate import ENCODER_TRADE
    from dvc_codec.video import Frame

    baked = copy.deepcopy(codec).cpu().eval()
    baked.bake()
    baked.quantiser, baked.trade = "rdo", ENCODER_TRADE
    if codec.quantiser == "noise":
        baked.quantiser = codec.quantiser  # which rounds where there is no gradient
    encoder = FrameEncoder(
        Model("validation", bytes(32), baked), lambda_at(case.rate), "hevc", len(case.pictures)
    )
    bits, pixels, errors = 0, 0, []
    for place in _order_for(codec, case):
        picture = as_picture(*split(case.pictures[place.number]))
        coded = encoder.encode(Frame(picture, place.number), place)
        bits += sum(8 * len(payload) for payload in coded.record.payloads)
        pixels += picture.y.size
        errors.append(coded.squared_error)
    y, u, v = np.mean(errors, 0) / 255**2
    d, rate = float(6 * y + u + v) / 8, bits / pixels
    return {
        "bytes_bits_per_pixel": rate,
        "bytes_psnr": -10 * float(np.log10(max(d, 1e-9))),
        "bytes_rd": lambda_at(case.rate) * d + rate,
    }


def _order_for(codec: PFrameCodec, case: Case) -> Order:
    if codec.prior_between is None:
        return tuple(group_order(len(case.pictures), 1))
    return case.order


def _planar(y: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    height, width = y.shape[0] // 2 * 2, y.shape[1] // 2 * 2
    chroma = (p[: height // 2, : width // 2].reshape(-1) for p in (u, v))
    return np.concatenate((y[:height, :width].reshape(-1), *chroma)).reshape(-1, width)
