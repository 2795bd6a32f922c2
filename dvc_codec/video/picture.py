"""One picture: three planes of 8-bit 4:2:0 samples, and the frame that gives it a time."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Picture:
    """Samples as the video has them: no colour conversion, no padding.

    Args:
        y: (H, W) uint8.
        u: ((H + 1) // 2, (W + 1) // 2) uint8. Odd sizes round up, as FFmpeg does.
        v: as ``u``.
    """

    y: Plane
    u: Plane
    v: Plane

    def __post_init__(self) -> None:
        chroma = chroma_shape(self.width, self.height)
        if self.u.shape != chroma or self.v.shape != chroma:
            raise ValueError(
                f"luma {self.y.shape} needs chroma {chroma}, got {self.u.shape} and {self.v.shape}"
            )
        if not self.y.dtype == self.u.dtype == self.v.dtype == np.uint8:
            raise ValueError(f"planes must be uint8, got {self.y.dtype}, {self.u.dtype}, ...")

    @property
    def width(self) -> int:
        return int(self.y.shape[1])

    @property
    def height(self) -> int:
        return int(self.y.shape[0])

    @property
    def planes(self) -> tuple[Plane, Plane, Plane]:
        return self.y, self.u, self.v

    def equals(self, other: "Picture") -> bool:
        """Whether every sample is the same."""
        return all(map(np.array_equal, self.planes, other.planes))

    def to_bytes(self) -> bytes:
        """All samples, Y then U then V, row by row: a frame of a raw .yuv file."""
        return b"".join(plane.tobytes() for plane in self.planes)


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture and when it is shown: ``pts`` counts ticks of the video's ``time_base``."""

    picture: Picture
    pts: int


def chroma_shape(width: int, height: int) -> tuple[int, int]:
    """(rows, columns) of a 4:2:0 chroma plane."""
    return (height + 1) // 2, (width + 1) // 2
