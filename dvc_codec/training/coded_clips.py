"""Symbols of training clips, as an encoder chose them, kept in files: the entropy coder can learn
from them again without coding the clips again.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from dvc_codec.codec.frame_encoder import SentSymbols
from dvc_codec.container import FrameKind
from dvc_codec.errors import CannotWrite, DamagedFile, FileMissing


class CodedClip(NamedTuple):
    """Symbols of a group of pictures.

    Attributes:
        size: of the picture, height and width.
        frames: P and B frames in coding order.
    """

    size: tuple[int, int]
    frames: list[SentSymbols]


def kept(clips: Iterable[CodedClip], folder: Path) -> Iterator[CodedClip]:
    """The same clips, each written into the folder (made) on its way.

    Raises:
        CannotWrite: where it can't be written.
    """
    for number, clip in enumerate(clips):
        arrays: dict[str, Any] = {"size": np.array(clip.size)}
        for at, frame in enumerate(clip.frames):
            arrays[f"{at}/kind"] = np.array(frame.kind)
            arrays[f"{at}/width"] = np.array(frame.width)
            for name, sent in frame.sent.items():
                arrays[f"{at}/sent/{name}"] = sent.round().to(torch.int16).numpy()
                arrays[f"{at}/levels/{name}"] = frame.levels[name].round().to(torch.int16).numpy()
                if name in frame.lifts:
                    arrays[f"{at}/lifts/{name}"] = np.array(frame.lifts[name])
        try:
            folder.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(folder / f"{number:05d}.npz", **arrays)
        except OSError as error:
            raise CannotWrite(f"{folder}: {error.strerror}") from error
        yield clip


def clip_files(folder: Path) -> list[Path]:
    """Of what :func:`kept` wrote, in the same order. Raises FileMissing where there is nothing."""
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise FileMissing(f"{folder}: no symbols of clips here; --keep writes them")
    return paths


def read_clip(path: Path) -> CodedClip:
    """One that :func:`kept` wrote.

    Raises:
        DamagedFile: where the file holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        height, width = (int(length) for length in arrays["size"])
        frames: list[SentSymbols] = []
        while (kind := arrays.get(f"{len(frames)}/kind")) is not None:
            sent, levels, lifts = (
                _of_planes(arrays, f"{len(frames)}/{what}/") for what in ("sent", "levels", "lifts")
            )
            frames.append(
                SentSymbols(
                    FrameKind(int(kind)),
                    {name: torch.from_numpy(plane).float() for name, plane in sent.items()},
                    {name: torch.from_numpy(plane).float() for name, plane in levels.items()},
                    {name: steps.tolist() for name, steps in lifts.items()},
                    int(arrays[f"{len(frames)}/width"]),
                )
            )
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise DamagedFile(f"{path}: not symbols of a clip") from error
    return CodedClip((height, width), frames)


def _of_planes(arrays: Mapping[str, NDArray[Any]], begin: str) -> dict[str, NDArray[Any]]:
    return {name[len(begin) :]: value for name, value in arrays.items() if name.startswith(begin)}
