"""Arrays as pictures in a page: WebP data URIs."""

import base64
import io
from fractions import Fraction

import av
import numpy as np

from dvc_codec.video.colours import Rgb

QUALITY = 90  # of WebP, 0 to 100; 832x464 takes about 80 KB


def as_uri(picture: Rgb, quality: int = QUALITY) -> str:
    """A data URI of (H, W, 3) uint8."""
    file = io.BytesIO()
    height, width = picture.shape[:2]
    with av.open(file, "w", format="webp") as container:
        stream = container.add_stream("libwebp", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = width, height, "bgra"
        stream.options = {"quality": str(quality), "compression_level": "4"}
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        container.mux(stream.encode(frame.reformat(format="bgra")))
        container.mux(stream.encode(None))
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
