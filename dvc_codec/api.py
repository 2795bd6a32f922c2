"""The codec from Python: what ``import dvc_codec`` offers.

>>> import dvc_codec                                                # doctest: +SKIP
>>> summary = dvc_codec.encode_file("in.mp4", "out.dvc", quality=50)
>>> with dvc_codec.Decoder("out.dvc") as decoder:
...     for frame in decoder:
...         print(frame.seconds, frame.rgb().shape)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from dvc_codec.codec import decoder as file_decoder
from dvc_codec.codec import encoder as file_encoder
from dvc_codec.codec.frame_encoder import FrameEncoder
from dvc_codec.codec.limits import DEFAULT_LIMITS, Limits
from dvc_codec.codec.model import Model, load_model, weights_file
from dvc_codec.codec.output import Output, header_of
from dvc_codec.container import Header, Place
from dvc_codec.errors import OutOfRange
from dvc_codec.networks.config import Metric
from dvc_codec.networks.rate import RATES, lambda_at
from dvc_codec.video import NO_EXTRAS, Companions, Picture, VideoInfo
from dvc_codec.video import Frame as TimedPicture
from dvc_codec.video.colours import to_rgb
from dvc_codec.video.info import ColourTags

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["DecodedFrame", "Decoder", "Encoder", "decode_file", "encode_file"]

Samples = NDArray[np.uint8]


def lambda_of(quality: float) -> float:
    """Quality 0 (smallest) to 100 (best) as lambda, 64 to 4096. Raises OutOfRange outside."""
    if not 0 <= quality <= 100:
        raise OutOfRange(f"quality {quality:g}: must be in [0, 100]")
    return lambda_at(round(quality / 100 * (RATES - 1)))


def encode_file(
    source: str | Path,
    target: str | Path,
    *,
    quality: float | None = None,
    lagrangian: float = 1024.0,
    gop: int = 32,
    frames: int | None = None,
    convert: bool = False,
    sound: bool = True,
    metric: Metric = "mse",
    model: Model | None = None,
) -> file_encoder.Summary:
    """Encode a video file; :func:`dvc_codec.codec.encoder.encode_file` has more options.

    Args:
        source: anything FFmpeg reads.
        target: the .dvc file to make; it has this name only when it is whole.
        quality: 0 to 100, instead of ``lagrangian``.
        lagrangian: lambda, 64 to 4096.
        gop: longest group of pictures.
        frames: how many to code at most.
        convert: take what is not 8-bit 4:2:0, too.
        sound: carry sound and subtitles over.
        metric: "mse", for PSNR, or "ms-ssim": which of the shipped weights.
        model: other weights.

    Raises:
        dvc_codec.errors.DvcError: its subclasses say what.
    """
    return file_encoder.encode_file(
        source,
        Path(target),
        lagrangian=lagrangian if quality is None else lambda_of(quality),
        gop=gop,
        frames=frames,
        convert=convert,
        sound=sound,
        model=model or load_model(weights_file(metric)),
    )


def decode_file(
    source: str | Path,
    target: str | Path,
    *,
    strict: bool = False,
    model: Model | None = None,
) -> file_decoder.Decoded:
    """Decode into .mkv, .mp4, .y4m or .yuv; :func:`dvc_codec.codec.decoder.decode_file` has more
    options.
    """
    return file_decoder.decode_file(Path(source), target, strict=strict, model=model)


class Encoder:
    """Makes a .dvc file from pictures in memory. Use it in ``with``; leaving it finishes the file.

    Every picture is coded at once, so there are no B frames.

    Args:
        target: the file to make.
        width: of the pictures, in luma samples.
        height: as ``width``.
        frame_rate: frames a second.
        quality: 0 to 100.
        gop: longest group of pictures.
        colour: how the samples are to be shown; changes none.
        metric: "mse", for PSNR, or "ms-ssim": which of the shipped weights.
        model: other weights.
    """

    def __init__(
        self,
        target: str | Path,
        width: int,
        height: int,
        *,
        frame_rate: Fraction | int = 25,
        quality: float = 67.0,
        gop: int = 32,
        colour: ColourTags | None = None,
        metric: Metric = "mse",
        model: Model | None = None,
    ) -> None:
        if not 1 <= gop <= file_encoder.LONGEST_GOP:
            raise OutOfRange(f"GOP of {gop} frames: must be in [1, {file_encoder.LONGEST_GOP}]")
        rate = Fraction(frame_rate)
        model = model or load_model(weights_file(metric))
        lagrangian = lambda_of(quality)
        self._gop, self._count = gop, 0
        self._size = width, height
        self._frames = FrameEncoder(model, lagrangian, gop=gop)
        self._companions = Companions("-")
        info = VideoInfo(width, height, rate, 1 / rate, colour=colour or ColourTags())
        header = header_of(
            info,
            self._companions,
            model=(model.name, model.sha256),
            lagrangian=lagrangian,
            gop=gop,
            settings="from memory",
        )
        self._output = Output(Path(target), header, self._companions)

    def write(self, y: Samples, u: Samples, v: Samples) -> int:
        """Add a picture of 8-bit 4:2:0 samples: (H, W), then two of half the size, rounded up.

        Returns the bits it took. Raises OutOfRange for another size.
        """
        picture = Picture(np.ascontiguousarray(y), np.ascontiguousarray(u), np.ascontiguousarray(v))
        if (picture.width, picture.height) != self._size:
            raise OutOfRange(f"a {picture.width}x{picture.height} picture, expected {self._size}")
        number = self._count % self._gop
        place = Place(number, number - 1) if number else Place(0)
        coded = self._frames.encode(TimedPicture(picture, self._count), place)
        self._output.add(coded.record, place)
        self._count += 1
        return sum(coded.bits.values())

    def close(self) -> None:
        """Finish the file."""
        self.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None and self._count:
            self._output.end(sound_goes_on=False)
        elif error is None:
            error = OutOfRange("no picture was written")
            self._output.__exit__(type(error), error, None)
            raise error
        self._output.__exit__(kind, error, trace)


@dataclass(frozen=True)
class DecodedFrame:
    """A frame as it came out.

    Args:
        picture: samples Y, U, V: ``picture.y`` is (H, W) uint8.
        seconds: when it is shown.
        exact: whether it is what the encoder saw, to the bit.
        lost: whether it could not be decoded; the picture is then the last good one.
        colour: how samples are to be shown.
    """

    picture: Picture
    seconds: float
    exact: bool
    lost: bool
    colour: ColourTags

    def rgb(self) -> Samples:
        """(H, W, 3) uint8, as a screen shows it."""
        return to_rgb(self.picture, self.colour)

    def torch(self) -> "Tensor":
        """(3, H, W) float32 RGB in [0, 1]."""
        import torch

        return torch.from_numpy(self.rgb()).permute(2, 0, 1).float() / 255


class Decoder:
    """A .dvc file as frames: iterate, ask for one by its number, or seek by time.

    Args:
        source: the file.
        strict: refuse a damaged file.
        limits: the largest picture that is decoded.
        model: weights; by default the shipped ones that the file names.
    """

    def __init__(
        self,
        source: str | Path,
        *,
        strict: bool = False,
        limits: Limits = DEFAULT_LIMITS,
        model: Model | None = None,
    ) -> None:
        self._decoder = file_decoder.Decoder(Path(source), model, strict=strict, limits=limits)

    @property
    def header(self) -> Header:
        """Size, rate, lambda, colour, streams, tags."""
        return self._decoder.header

    @property
    def metadata(self) -> dict[str, str]:
        """Tags of the file: title, artist, ..."""
        return dict((self._decoder.extras or NO_EXTRAS).tags)

    def __len__(self) -> int:
        return self._decoder.frame_count

    def __iter__(self) -> Iterator[DecodedFrame]:
        return self.frames()

    def __getitem__(self, number: int) -> DecodedFrame:
        """Frame ``number``: decodes its group of pictures up to there."""
        if number < 0:
            number += len(self)
        if not 0 <= number < len(self):
            raise IndexError(f"frame {number} of {len(self)}")
        return next(self.frames(number, 1))

    def at(self, seconds: float) -> DecodedFrame:
        """The frame that is shown at this time, counted from the file's first frame."""
        return self[self._decoder.frame_at(seconds)]

    def frames(self, first: int = 0, count: int | None = None) -> Iterator[DecodedFrame]:
        """Frames from number ``first`` on."""
        base, colour = self.header.time_base, self._decoder.info.colour
        shown = self._decoder.shown(first, count)
        try:
            for one in shown:
                seconds = float(one.frame.pts * base)
                yield DecodedFrame(one.frame.picture, seconds, one.exact, one.lost, colour)
        finally:
            shown.close()

    def close(self) -> None:
        """Close the file. Frames already given out stay valid."""
        self._decoder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
