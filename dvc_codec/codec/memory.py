"""What is remembered of a group of pictures while it is coded or decoded: of symbols, which parsing
needs, and of pictures, which it does not need.
"""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from torch import Tensor

from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.codec.symbols import StatisticsOfKinds, StatisticsOfPlanes
from dvc_codec.container import FrameKind, Place
from dvc_codec.networks.interface import Network
from dvc_codec.networks.planes import Planes

T = TypeVar("T")


class SymbolMemory:
    """Magnitudes of what the last frames sent, and the statistics, of which P and B frames have
    their own.

    Args:
        codec: whose symbols they are.
        statistics: that groups begin with; by default the codec's.

    Attributes:
        begun: whether there was an I frame.
    """

    def __init__(self, codec: PFrameCodec, statistics: StatisticsOfKinds | None = None) -> None:
        self._codec, self._first = codec, dict(statistics or {})
        self._past: dict[FrameKind, Mapping[str, Tensor]] = {}
        self._statistics: dict[FrameKind, StatisticsOfPlanes] = {}

    @property
    def begun(self) -> bool:
        return bool(self._past)

    def begin(self, height: int, width: int) -> None:
        """After an I frame of this size."""
        between = self._codec.prior_between
        self._past = {
            FrameKind.P: self._codec.prior.nothing(1, height, width),
            FrameKind.B: between.nothing(1, height, width) if between is not None else {},
        }
        self._statistics = dict(self._first)

    def past(self, kind: FrameKind) -> Mapping[str, Tensor]:
        """What the next frame of a kind knows of those before."""
        return self._past[kind]

    def statistics(self, kind: FrameKind) -> StatisticsOfPlanes:
        """As the next frame of a kind finds them."""
        if kind not in self._statistics:
            self._statistics[kind] = self._codec.prior_of(kind).statistics()
        return self._statistics[kind]

    def add(
        self, kind: FrameKind, sent: Mapping[str, Tensor], statistics: StatisticsOfPlanes
    ) -> None:
        """After a frame: what it sent, and what they are now."""
        past, between = self._codec.remember(kind, sent, self._past[FrameKind.B])
        self._past = {
            FrameKind.P: self._past[FrameKind.P] if past is None else past,
            FrameKind.B: between,
        }
        self._statistics[kind] = statistics


class Places(Generic[T]):
    """What is kept of the frames of a group that others are still predicted from."""

    def __init__(self) -> None:
        self._known: dict[int, T] = {}

    def begin(self, item: T, number: int = 0) -> None:
        """After an I frame at this position."""
        self._known = {number: item}

    def needed(self, place: Place) -> dict[int, T]:
        """Of the frames that the frame of a place is predicted from. KeyError where one was never
        added.
        """
        assert place.past is not None, "I frames are predicted from nothing"
        numbers = (place.past,) if place.future is None else (place.past, place.future)
        return {number: self._known[number] for number in numbers}

    def add(self, place: Place, item: T) -> None:
        """After a frame. Coding goes from the past to the future: what lies before what this frame
        was predicted from is not needed again. So however long the gap between two anchors, few are
        known at a time.
        """
        assert place.past is not None, "I frames begin a group"
        self._known = {at: known for at, known in self._known.items() if at >= place.past}
        self._known[place.number] = item


class PictureMemory:
    """The references of a group, by their places."""

    def __init__(self, codec: PFrameCodec) -> None:
        self._network = codec.network
        self._places = Places[Any]()

    def begin(self, picture: Planes, number: int = 0) -> None:
        """After an I frame at this position."""
        self._places.begin(self._network.start(picture), number)

    def of(self, place: Place) -> Any:
        """What the frame of a place is predicted from. KeyError where that was never added."""
        return reference_of(self._network, self._places.needed(place), place)

    def add(self, place: Place, reference: Any) -> None:
        """After a frame."""
        self._places.add(place, reference)


def reference_of(network: Network[Any, Any], known: Mapping[int, Any], place: Place) -> Any:
    """What the P or B frame of a place is predicted from, of the references by their places."""
    assert place.past is not None, "I frames are predicted from nothing"
    past, to_past = known[place.past], place.number - place.past
    if place.future is None:
        return network.ahead(past, to_past)
    return network.between(past, known[place.future], to_past, place.future - place.number)
