"""The I-frame codecs by name, and by the number that files carry."""

from typing import Protocol

from dvc_codec.errors import OutOfRange, WrongVersion
from dvc_codec.intra.av1 import Av1
from dvc_codec.intra.hevc import Hevc
from dvc_codec.intra.vvc import Vvc
from dvc_codec.video import Picture

LEARNED_ID = 3  # reserved


class IntraCodec(Protocol):
    """A still-picture codec.

    Guarantees: the same picture and QP give the same bytes on the same build; ``decode`` gives the
    same picture everywhere; damaged bytes raise ``DamagedFile`` or give a wrong picture, which the
    picture hash in the file shows.
    """

    @property
    def name(self) -> str:
        """What users call it."""

    @property
    def id(self) -> int:
        """What files call it. Never changes."""

    @property
    def qp_range(self) -> range:
        """The QPs it takes; lower is finer."""

    def qp_for(self, lambda_intra: float, structural: bool = False) -> int:
        """The QP with the lowest lambda_intra D + R, on average; with ``structural`` the one that
        goes with P frames of that metric.
        """

    def encode(self, picture: Picture, qp: int, effort: int = 0, structural: bool = False) -> bytes:
        """The picture in bytes, complete in themselves but for its size.

        Args:
            picture: what to code.
            qp: within ``qp_range``.
            effort: 1 searches longer than 0 does, and 2 longer still.
            structural: spend them as MS-SSIM wants it, where the codec can; else as the squared
                error does.
        """

    def decode(self, data: bytes, width: int, height: int) -> Picture:
        """The picture of ``width`` x ``height`` that ``encode`` made ``data`` of."""


_CODECS: tuple[IntraCodec, ...] = (Hevc(), Av1(), Vvc())


def names() -> tuple[str, ...]:
    """All codecs.

    >>> names()
    ('hevc', 'av1', 'vvc')
    """
    return tuple(codec.name for codec in _CODECS)


def get(name: str) -> IntraCodec:
    """The codec of this name, else ``OutOfRange``."""
    for codec in _CODECS:
        if codec.name == name:
            return codec
    raise OutOfRange(f"no I-frame codec {name!r}; there are {', '.join(names())}")


def by_id(number: int) -> IntraCodec:
    """The codec that a file calls ``number``, else ``WrongVersion``."""
    for codec in _CODECS:
        if codec.id == number:
            return codec
    raise WrongVersion(
        f"I frame is coded with intra codec {number}, which this program does not know; "
        "use a newer dvc-codec"
    )
