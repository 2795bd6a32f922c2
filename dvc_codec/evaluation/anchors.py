"""Encoders that people use, to be compared with: FFmpeg's, by the commands that are shown here.

What is the same for all, and leans to the anchors' side:

- Their size is that of the bare video stream (.264, .265, .obu, .266) without the text in which
  x264 and x265 name their settings (0.6 and 2.4 KB); a .dvc file is counted whole.
- One thread, as ours: x264 would cut a picture into a slice per core, worse and differently on
  every machine.
"""

import subprocess
from collections.abc import Sequence as Several
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dvc_codec.errors import DvcError, UsageError

_DECODE = "-fps_mode passthrough -pix_fmt yuv420p -f yuv4mpegpipe"


@dataclass(frozen=True)
class Anchor:
    """An encoder with its settings.

    Args:
        name: what tables and results call it.
        suffix: of its bare stream; FFmpeg takes the format from it.
        words: what stands after ``-i in.y4m -an``, with places for {point} and {gop}.
        strip: an FFmpeg bitstream filter that drops what no decoder needs; empty for none.
        points: CRF or QP values that cover lambda 256 to 2048, best quality first.
        decimals: whether it takes points between whole numbers.
        pictures: whether it codes one picture, as still image codecs do.
    """

    name: str
    suffix: str
    words: str
    strip: str
    points: tuple[int, ...]
    decimals: bool = False
    pictures: bool = False

    @property
    def encoder(self) -> str:
        return self.words.split()[1]

    def encode_command(self, source: Path, target: Path, point: float, gop: int) -> list[str]:
        """``source`` (y4m) into ``target``, whose suffix must be ours."""
        words = self.words.format(point=f"{point:g}", gop=gop).split()
        strip = ["-bsf:v", self.strip] if self.strip else []
        before = [ffmpeg(), "-v", "error", "-y", "-i", str(source), "-an"]
        return [*before, *words, "-threads", "1", *strip, str(target)]

    def decode_command(self, source: Path, target: Path) -> list[str]:
        """Our stream into a y4m with every frame once."""
        before = [ffmpeg(), "-v", "error", "-y", "-threads", "1", "-i", str(source)]
        return [*before, *_DECODE.split(), str(target)]


# Supplemental information (a text, no picture): NAL unit type 6 in H.264, prefix SEI 39 in H.265.
_NO_TEXT_264 = "filter_units=remove_types=6"
_NO_TEXT_265 = "filter_units=remove_types=39"

ANCHORS = {
    anchor.name: anchor
    for anchor in (
        Anchor(
            "x264-veryfast",
            ".264",
            "-c:v libx264 -preset veryfast -tune zerolatency -crf {point} "
            "-g {gop} -keyint_min {gop} -sc_threshold 0",
            _NO_TEXT_264,
            (17, 21, 25, 29, 33, 37),
            decimals=True,
        ),
        Anchor(
            "x265-veryfast",
            ".265",
            "-c:v libx265 -preset veryfast -tune zerolatency -x265-params "
            "aq-mode=1:crf={point}:keyint={gop}:min-keyint={gop}:scenecut=0",
            _NO_TEXT_265,
            (17, 21, 25, 29, 33, 37),
            decimals=True,
        ),
        Anchor(
            "x265-medium",
            ".265",
            "-c:v libx265 -preset medium -x265-params "
            "aq-mode=1:crf={point}:keyint={gop}:min-keyint={gop}",
            _NO_TEXT_265,
            (17, 21, 25, 29, 33, 37),
            decimals=True,
        ),
        Anchor(
            "svtav1-6",
            ".obu",
            "-c:v libsvtav1 -preset 6 -crf {point} -g {gop}",
            "",
            (20, 28, 36, 44, 52, 60),
        ),
        Anchor(
            "vvenc-faster",
            ".266",
            "-c:v libvvenc -preset faster -qp {point} -g {gop}",
            "",
            (18, 22, 26, 30, 34, 38, 42),
        ),
        Anchor(
            "libaom-6",
            ".obu",
            "-c:v libaom-av1 -cpu-used 6 -crf {point} -b:v 0 -g {gop}",
            "",
            (20, 28, 36, 44, 52, 60),
        ),
        # Of images: one picture, no GOP. JPEG 2000's point is its compression ratio; JPEG keeps
        # limited-range samples as they are (-strict unofficial), like all others.
        Anchor(
            "jpeg",
            ".jpg",
            "-c:v mjpeg -strict unofficial -huffman optimal -q:v {point} -update 1",
            "",
            (2, 3, 5, 8, 12, 18, 26),
            pictures=True,
        ),
        Anchor(
            "jpeg2000",
            ".jp2",
            "-c:v libopenjpeg -irreversible 1 -compression_level {point} -update 1",
            "",
            (5, 8, 12, 20, 32, 50, 80),
            pictures=True,
        ),
        Anchor(
            "webp",
            ".webp",
            "-c:v libwebp -compression_level 6 -quality {point}",
            "",
            (5, 20, 40, 60, 80, 90, 95),
            pictures=True,
        ),
        Anchor(
            "hevc-intra",
            ".265",
            "-c:v libx265 -preset slow -tune psnr -x265-params keyint=1:qp={point}",
            _NO_TEXT_265,
            (20, 24, 28, 32, 36, 40),
            pictures=True,
        ),
        Anchor(
            "av1-intra",
            ".obu",
            "-c:v libsvtav1 -preset 4 -crf {point} -g 1",
            "",
            (10, 20, 30, 40, 50, 60),
            pictures=True,
        ),
        Anchor(
            "vvenc-intra",
            ".266",
            "-c:v libvvenc -preset medium -qpa 0 -qp {point} -g 1",
            "",
            (20, 24, 28, 32, 36, 40),
            pictures=True,
        ),
    )
}


def anchor_named(name: str) -> Anchor:
    """Raises UsageError for a name that is none."""
    if name not in ANCHORS:
        raise UsageError(f"no anchor is called {name}; there are {', '.join(ANCHORS)}")
    return ANCHORS[name]


def check_anchors(names: Several[str], pictures: bool) -> None:
    """Raises UsageError for a name that is none, one that this FFmpeg cannot run, or an image codec
    for videos (``pictures`` says whether all sequences are single pictures).
    """
    for anchor in map(anchor_named, names):
        if anchor.pictures and not pictures:
            raise UsageError(f"{anchor.name} codes single pictures: use it with kodak:DIR")
        if anchor.encoder not in _encoders():
            raise UsageError(f"{anchor.name}: this FFmpeg has no {anchor.encoder}: {ffmpeg()}")


@cache
def _encoders() -> frozenset[str]:
    command = [ffmpeg(), "-hide_banner", "-encoders"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return frozenset(line.split()[1] for line in said.splitlines() if len(line.split()) > 1)


@cache
def ffmpeg() -> str:
    """Path of the FFmpeg that imageio-ffmpeg brings, with all these encoders in it."""
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise DvcError("anchors need imageio-ffmpeg: pip install 'dvc-codec[eval]'") from error
    return str(imageio_ffmpeg.get_ffmpeg_exe())
