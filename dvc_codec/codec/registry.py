"""Networks by name, built from the configuration that a weights file carries."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.entropy.prior import PFramePrior
from dvc_codec.networks.config import PFrameConfig
from dvc_codec.networks.p_frame import PFrameNetwork


def build(network: str, config: Mapping[str, Any]) -> PFrameCodec:
    """An untrained codec. Raises ValueError for an unknown name, TypeError for an unknown key."""
    if network == "dvc":
        return PFrameCodec(PFrameNetwork(PFrameConfig(**config)), PFramePrior())
    raise ValueError(f"no network is called {network!r}; known: dvc")


def describe(codec: PFrameCodec) -> tuple[str, dict[str, Any]]:
    """Name and configuration that :func:`build` makes this codec from."""
    return "dvc", asdict(codec.network.config)
