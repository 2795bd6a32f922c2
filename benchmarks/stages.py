"""Where the time of a P frame goes: the encoder and the decoder as they are, with a stopwatch.

Stage after stage in one thread; whole processes overlap reading and parsing with the networks.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn

from dvc_codec.codec import choosing, frame_encoder, symbols
from dvc_codec.codec.frame_decoder import FrameDecoder, FrameParser
from dvc_codec.codec.frame_encoder import FrameEncoder
from dvc_codec.codec.model import Model
from dvc_codec.container import Header, Reader, group_order, places
from dvc_codec.video import open_video


class Stopwatch:
    """Time spent in stages, not counting the stages inside them."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inner: list[float] = [0.0]
        self._put_back: list[Callable[[], None]] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of the block as stage ``name``."""
        self._inner.append(0.0)
        begun = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - begun
            own = spent - self._inner.pop()
            self._inner[-1] += spent
            self.seconds[name] = self.seconds.get(name, 0.0) + own

    def watch(self, name: str, owner: Any, *functions: str) -> None:
        """Count every call of these functions of ``owner`` (a module or an object)."""
        for function in functions:
            original = getattr(owner, function)
            own = function in vars(owner)

            def timed(
                *arguments: Any, _original: Callable[..., Any] = original, **more: Any
            ) -> Any:
                with self.stage(name):
                    return _original(*arguments, **more)

            def put_back(
                owner: Any = owner, at: str = function, was: Any = original, own: bool = own
            ) -> None:
                setattr(owner, at, was) if own else delattr(owner, at)

            setattr(owner, function, timed)
            self._put_back.append(put_back)

    def take(self) -> dict[str, float]:
        """The seconds so far; begin anew."""
        taken, self.seconds = self.seconds, {}
        return taken

    def stop(self) -> None:
        """Everything as it was."""
        while self._put_back:
            self._put_back.pop()()


@dataclass
class Stages:
    """Median milliseconds of every stage of a P frame (decoded: or B), and the convolutions."""

    encode: dict[str, float] = field(default_factory=dict)
    decode: dict[str, float] = field(default_factory=dict)
    decoder_macs_per_pixel: float = 0.0
    decoder_giga_macs_per_second: float = 0.0  # of its networks, everything in them included


def measure(model: Model, source: Path, coded: Path, lagrangian: float, frames: int) -> Stages:
    """Encode the first ``frames`` of ``source`` and decode those of ``coded``, in this process."""
    stages = Stages()
    with open_video(source, frames=frames) as reader:
        pictures = list(reader)
    encoder = FrameEncoder(model, lagrangian)
    stages.encode = _median_stages(
        model,
        [
            lambda frame=frame, place=place: encoder.encode(frame, place)  # type: ignore[misc]
            for place, frame in zip(group_order(len(pictures), 1), pictures, strict=True)
        ],
    )
    with Reader(coded) as opened:
        header, gop = opened.header, opened.read_gop(0)
    records = list(zip(gop.frames, places(gop), strict=True))[:frames]
    parser, decoder = FrameParser(model, header), FrameDecoder(model, header)
    with _multiply_accumulates(model.codec.network) as count:
        stages.decode = _median_stages(
            model,
            [lambda record=record: decoder.decode(parser.parse(*record)) for record in records],  # type: ignore[misc]
        )
    macs = sum(count) / max(1, len(records) - 1)
    stages.decoder_macs_per_pixel = macs / _padded_pixels(header)
    parts = ("predict: network", "loop filter: network", "post-filter")
    networks = sum(stages.decode.get(part, 0.0) for part in parts)
    stages.decoder_giga_macs_per_second = macs / networks / 1e6
    return stages


def _median_stages(model: Model, frames: list[Callable[[], object]]) -> dict[str, float]:
    """Stages of the frames from the third on: the first is an I frame, the second warms up."""
    watch = Stopwatch()
    network: Any = model.codec.network
    watch.watch("flow", network.flow, "forward")
    watch.watch("motion: transform", network, "motion_latents")
    watch.watch("predict: warp", network, "predict")
    watch.watch("predict: network", network.compensation, "forward")
    watch.watch("predict: network", network.compensation_between, "forward")
    watch.watch("residual: transform", network, "residual_latents")
    watch.watch("residual: second look", network, "second_latents")
    watch.watch("residual: response", network, "response")
    watch.watch("loop filter: inverse transform", network, "finish")
    watch.watch("loop filter: network", network.filter, "forward")
    if network.post is not None:
        watch.watch("post-filter", network.post, "forward")
    watch.watch("what is known of symbols", choosing.Choosing, "_choose")
    watch.watch("entropy coding", frame_encoder, "learned_costs")
    watch.watch("entropy coding", symbols.SymbolWriter, "step", "end")
    watch.watch("entropy coding", symbols, "read")
    each = []
    try:
        for frame in frames:
            with watch.stage("rest"):
                frame()
            each.append(watch.take())
    finally:
        watch.stop()
    steady = each[2:]
    names = [name for name in steady[-1] if name != "rest"] + ["rest"]
    return {name: 1000 * median(one.get(name, 0.0) for one in steady) for name in names}


@contextmanager
def _multiply_accumulates(network: Any) -> Iterator[list[int]]:
    """Collect those of every convolution that runs in the decoder's networks."""
    count: list[int] = []

    def add(layer: nn.Module, _: Any, output: torch.Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        count.append(output.numel() * layer.weight[0].numel())

    layers = [
        layer
        for part in (network.compensation, network.filter, network.post)
        if part is not None
        for layer in part.modules()
        if isinstance(layer, nn.Conv2d)
    ]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    try:
        yield count
    finally:
        for hook in hooks:
            hook.remove()


def _padded_pixels(header: Header) -> int:
    return (header.width + -header.width % 64) * (header.height + -header.height % 64)
