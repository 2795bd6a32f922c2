"""Networks by name, built from the configuration that a weights file carries."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.entropy.dvc2019_prior import Dvc2019Prior
from dvc_codec.entropy.prior import PFramePrior
from dvc_codec.networks.config import PFrameConfig
from dvc_codec.networks.dvc2019 import Dvc2019Config, Dvc2019Network
from dvc_codec.networks.p_frame import PFrameNetwork


def build(network: str, config: Mapping[str, Any]) -> PFrameCodec:
    """An untrained codec. Raises ValueError for an unknown name, TypeError for an unknown key."""
    if network == "dvc":
        return PFrameCodec(PFrameNetwork(PFrameConfig(**config)), PFramePrior())
    if network == "dvc2019":
        sizes = Dvc2019Config(**config)
        prior = Dvc2019Prior(sizes.motion, sizes.hyper, sizes.latents)
        return PFrameCodec(Dvc2019Network(sizes), prior, quantiser="noise")
    raise ValueError(f"no network is called {network!r}; known: dvc, dvc2019")


def describe(codec: PFrameCodec) -> tuple[str, dict[str, Any]]:
    """Name and configuration that :func:`build` makes this codec from."""
    if isinstance(codec.network, PFrameNetwork):
        return "dvc", asdict(codec.network.config)
    if isinstance(codec.network, Dvc2019Network):
        return "dvc2019", asdict(codec.network.config)
    raise ValueError(f"no name is known for a {type(codec.network).__name__}")
