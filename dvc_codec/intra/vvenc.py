"""VVenC, through the FFmpeg program that imageio-ffmpeg brings: PyAV's wheels only decode VVC."""

import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from dvc_codec.errors import DvcError, OutOfRange
from dvc_codec.intra.still import packed, padded_size
from dvc_codec.video import Picture

# qpa=0: by PSNR; 1: blocks have QPs by what eyes see (XPSNR). Level 6.2 is in the parameter sets,
# and left to VVenC it would follow from the size.
_COMMAND = (
    "-v error -f rawvideo -pix_fmt yuv420p10le -s {width}x{height} -r 1 -i - -frames:v 1 "
    "-c:v libvvenc -preset {preset} -qp {qp} -qpa {qpa} -threads 1 -vvenc-params {parameters} "
    "-f vvc"
)
_LEVEL = "level=6.2"


@cache
def program() -> str | None:
    """Path of an FFmpeg program that has VVenC; None where there is none."""
    try:
        import imageio_ffmpeg  # only who encodes needs it

        path = str(imageio_ffmpeg.get_ffmpeg_exe())
        command = [path, "-hide_banner", "-encoders"]
        encoders = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
        ).stdout
    except (ImportError, RuntimeError, OSError, subprocess.CalledProcessError):
        return None
    return path if "libvvenc" in encoders.split() else None


def encode(
    picture: Picture, qp: int, preset: str, parameters: str = "", *, perceptual: bool = False
) -> bytes:
    """All bytes that VVenC makes of ``picture``, in 10 bits, single-threaded.

    Args:
        picture: what to code.
        qp: 0 to 63.
        preset: VVenC's.
        parameters: more of VVenC's own, ``NAME=VALUE:NAME=VALUE``.
        perceptual: spend bits where eyes see it, which MS-SSIM follows, not by squared error.

    Raises:
        OutOfRange: there is no VVenC, or it does not take a picture of this size.
    """
    path = program()
    if path is None:
        raise OutOfRange(
            "vvc I frames are coded by an FFmpeg program with libvvenc, and there is none here: "
            "pip install imageio-ffmpeg, or take --intra auto, hevc or av1"
        )
    width, height = padded_size(picture.width, picture.height)
    words = _COMMAND.format(
        width=width,
        height=height,
        preset=preset,
        qp=qp,
        qpa=int(perceptual),
        parameters=":".join(filter(None, (parameters, _LEVEL))),
    ).split()
    samples = packed(picture, width, height).astype("<u2") << 2
    with TemporaryDirectory() as folder:
        stream = Path(folder, "still.vvc")  # not stdout: VVenC prints its warnings there
        # In a session of its own: a Ctrl-C is ours to deal with, and must not look like a refusal
        done = subprocess.run(
            [path, *words, str(stream)],
            input=samples.tobytes(),
            capture_output=True,
            check=False,
            start_new_session=True,
        )
        coded = stream.read_bytes() if done.returncode == 0 else b""
    if done.returncode < 0:
        raise DvcError(f"FFmpeg, as it coded a vvc I frame, was ended by signal {-done.returncode}")
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise OutOfRange(
            f"libvvenc cannot code a picture of {picture.width} x {picture.height}: "
            f"{said[0] if said else f'FFmpeg ends with {done.returncode}'}"
        )
    return coded
