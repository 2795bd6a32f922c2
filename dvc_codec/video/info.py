"""What a video file says about its pictures: size, rate, shape of a sample, colour."""

from dataclasses import dataclass, field
from fractions import Fraction

from dvc_codec.container import Hdr

LIMITED_RANGE = 1
FULL_RANGE = 2
UNSPECIFIED = 2  # of primaries, transfer and matrix

# FFmpeg's names, at the index that ``ColourTags`` uses.
CHROMA_LOCATIONS = ("unspecified", "left", "center", "topleft", "top", "bottomleft", "bottom")
CHROMA_LEFT = 1
CHROMA_CENTRE = 2
CHROMA_TOP_LEFT = 3


@dataclass(frozen=True)
class ColourTags:
    """How samples are to be shown. Nothing here changes a sample.

    Args:
        range: 0 not said, 1 limited (16..235), 2 full (0..255): FFmpeg's numbers.
        primaries: H.273 ColourPrimaries; 2 is not said.
        transfer: H.273 TransferCharacteristics; 2 is not said.
        matrix: H.273 MatrixCoefficients; 2 is not said.
        chroma_location: where chroma samples sit: 0 not said, 1 left (H.264's default), 2 centre
            (JPEG's), 3 top left, 4 top, 5 bottom left, 6 bottom: H.273's numbers plus one.
    """

    range: int = 0
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED
    chroma_location: int = 0


@dataclass(frozen=True)
class VideoInfo:
    """What a video file says about its pictures, as they come out of the reader.

    Args:
        width: in luma samples; may be odd.
        height: in luma samples; may be odd.
        frame_rate: frames per second; the average where it varies.
        time_base: seconds per tick of the frames' ``pts``.
        sample_aspect_ratio: width of a sample over its height; 1 where the file does not say.
        colour: see ``ColourTags``.
        frame_count: of the whole file, as its header says or as its duration suggests; None where
            it says nothing. An estimate: count frames to be sure.
        rotation: degrees to turn the picture counter-clockwise before it is shown.
        pix_fmt: FFmpeg's name of the source's pixel format.
        hdr: static HDR metadata, where there is any.
        uncarried: names of what else the source's pictures carry, which is lost: HDR10+ and so on.
    """

    width: int
    height: int
    frame_rate: Fraction
    time_base: Fraction
    sample_aspect_ratio: Fraction = Fraction(1)
    colour: ColourTags = field(default_factory=ColourTags)
    frame_count: int | None = None
    rotation: int = 0
    pix_fmt: str = "yuv420p"
    hdr: Hdr | None = None
    uncarried: tuple[str, ...] = ()

    @property
    def frame_ticks(self) -> int:
        """Ticks of ``time_base`` that one frame lasts, at least 1."""
        return max(1, round(1 / (self.frame_rate * self.time_base)))

    def frames_from(self, start: float, wanted: int | None) -> int | None:
        """How many frames will come from ``start`` seconds on, of which ``wanted`` are asked for;
        None: nobody knows. As right as ``frame_count`` is.
        """
        there = self.frame_count
        if there is not None and start:
            there = max(1, there - round(start * float(self.frame_rate)))
        return min((count for count in (there, wanted) if count is not None), default=None)
