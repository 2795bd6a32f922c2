"""How much a file may ask of this machine. Checked before memory is taken."""

from dataclasses import dataclass

from dvc_codec.container import Header
from dvc_codec.errors import OutOfRange

# Measured as peak of a process that decodes: 268 MiB with torch and the weights, then 325 (960x540,
# bfloat16) to 525 (416x240, float32) bytes for each luma pixel; an encoder of FFmpeg comes on top.
# A reference has 21; between anchors as far apart as they may be, 16 more than usual are needed
BYTES_PER_PIXEL = 900
BYTES_BESIDE = 300 << 20


@dataclass(frozen=True)
class Limits:
    """The largest picture that is decoded.

    Args:
        pixels: of one picture. The default is a little more than 8192x4320.
        memory: bytes; a picture that would need more is refused. None does not ask.
    """

    pixels: int = 36_000_000
    memory: int | None = None

    def check(self, name: str, header: Header) -> None:
        """Raises OutOfRange for a file beyond."""
        pixels = header.width * header.height
        size = f"{name}: pictures of {header.width}x{header.height}"
        if pixels > self.pixels:
            raise OutOfRange(
                f"{size} are {pixels} pixels, more than {self.pixels}; if you trust the file, "
                "raise --max-pixels"
            )
        need = BYTES_BESIDE + BYTES_PER_PIXEL * pixels
        if self.memory is not None and need > self.memory:
            raise OutOfRange(
                f"{size} need about {need >> 20} MiB, more than {self.memory >> 20}; raise "
                "--max-memory"
            )


DEFAULT_LIMITS = Limits()
