"""Validation: whole sequences at fixed rates, by the loss and by real bytes."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dvc_codec.codec.p_frame import PFrameCodec, code_frame
from dvc_codec.errors import FileMissing
from dvc_codec.networks.planes import Planes
from dvc_codec.networks.rate import lagrangian, lambda_at
from dvc_codec.training.absent import present
from dvc_codec.training.clips import ClipSet, split
from dvc_codec.training.crops import batch, whole
from dvc_codec.training.intra_frames import IntraBank, hevc_intra
from dvc_codec.training.loss import bits_per_pixel, distortion

VIDEOS = (".mp4", ".mkv", ".mov", ".webm", ".avi", ".y4m")


@dataclass(frozen=True)
class Case:
    """A sequence at a rate.

    Attributes:
        pictures: uint8 (frames, 3 H / 2, W), as the I frame's source and the P frames.
        rate: index.
        intra: uint8 (3 H / 2, W) as decoded; None: to be coded.
    """

    pictures: Tensor
    rate: int
    intra: Tensor | None = None


def cases_of_clips(clips: ClipSet, frames: int, rates: Sequence[int]) -> list[Case]:
    """Every clip at every rate."""
    return [Case(pictures[:frames], r) for pictures in clips.pictures for r in rates]


def cases_of_bank(
    clips: ClipSet, bank: IntraBank, first: int, frames: int, rates: Sequence[int]
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
            cases.append(Case(pictures, int(bank.rates[entry]), bank.pictures[entry]))
    return cases


def cases_of_videos(folder: Path, frames: int, rates: Sequence[int]) -> list[Case]:
    """The start of every video in a folder at every rate; odd sizes are cropped to even ones."""
    from dvc_codec.video import open_video

    files = [p for p in sorted(folder.glob("*")) if p.suffix.lower() in VIDEOS]
    if not files:
        raise FileMissing(f"{folder}: found no video to validate on")
    cases = []
    for path in files:
        with open_video(path, frames=frames) as reader:
            pictures = [_planar(*f.picture.planes) for f in reader]
        clip = torch.from_numpy(np.stack(pictures))
        cases += [Case(clip, rate) for rate in rates]
    return cases


@torch.inference_mode()
def measure_loss(codec: PFrameCodec, case: Case, device: torch.device) -> dict[str, float]:
    """Means over the P frames: lambda D + R by estimated bits, bits per pixel, PSNR, and how much
    PSNR the last quarter lost against the first.
    """
    first = case.pictures[0]
    if case.intra is not None:
        coded_first: Planes = whole(case.intra.to(device))
    else:
        luma, chroma = hevc_intra(*split(first), lambda_at(case.rate))
        coded_first = batch([(luma.to(device), chroma.to(device))])
    state = codec.start(coded_first)
    rate = torch.tensor([case.rate], device=device)
    rows = []
    for picture in case.pictures[1:]:
        current = whole(picture.to(device))
        coded = code_frame(codec, current, state, rate)
        state = coded.state
        motion, residual = bits_per_pixel(coded, current)
        d = distortion(state.reference.picture, current)
        predicted = distortion(coded.prediction.picture, current)
        cost = lagrangian(rate) * d + motion + residual
        rows.append(torch.cat((cost, motion, residual, d, predicted)))
    table = torch.stack(rows).double().cpu()
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
    PSNR of the decoded planes, lambda D + R. {} where the range coder or PyAV is not installed.
    """
    if not (present("av") and present("constriction")):
        return {}
    from dvc_codec.codec.encoder import FrameEncoder
    from dvc_codec.codec.model import Model
    from dvc_codec.container import group_order
    from dvc_codec.networks.rate import ENCODER_TRADE
    from dvc_codec.video import Frame, Picture

    baked = copy.deepcopy(codec).cpu().eval()
    baked.bake()
    baked.quantiser, baked.trade = "rdo", ENCODER_TRADE
    if codec.quantiser == "noise":
        baked.quantiser = codec.quantiser  # which rounds where there is no gradient
    encoder = FrameEncoder(
        Model("validation", bytes(32), baked), lambda_at(case.rate), "hevc", len(case.pictures)
    )
    bits, pixels, errors = 0, 0, []
    order = group_order(len(case.pictures), 1)
    for place, planar in zip(order, case.pictures.cpu(), strict=True):
        luma, chroma = split(planar)
        picture = Picture(*(np.ascontiguousarray(p.numpy()) for p in (luma, *chroma)))
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


def _planar(y: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    height, width = y.shape[0] // 2 * 2, y.shape[1] // 2 * 2
    chroma = (p[: height // 2, : width // 2].reshape(-1) for p in (u, v))
    return np.concatenate((y[:height, :width].reshape(-1), *chroma)).reshape(-1, width)
