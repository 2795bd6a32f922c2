"""Networks by name, built from the configuration that a weights file carries."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.entropy.dvc2019_prior import Dvc2019Prior
from dvc_codec.networks.config import METRICS, PFrameConfig
from dvc_codec.networks.dvc2019 import Dvc2019Config, Dvc2019Network
from dvc_codec.networks.p_frame import PFrameNetwork
from dvc_codec.networks.still_filter import StillFilter

Config = PFrameConfig | Dvc2019Config
CONFIGS: Mapping[str, type[Config]] = {"dvc": PFrameConfig, "dvc2019": Dvc2019Config}
# Filters that are trained alone, for weights that have them: field of the configuration with their
# channels (0: there is none) -> what their tensors' names begin with
FILTERS: Mapping[str, str] = {"stills": "stills.", "post": "network.post."}
LARGEST = 1024  # of any size in a configuration; a damaged one is not to take all memory


def build(network: str, config: Mapping[str, Any]) -> PFrameCodec:
    """An untrained codec. Raises ValueError as :func:`read_config` does."""
    return build_from(read_config(network, config))


def read_config(network: object, said: object) -> Config:
    """What a weights file says of its network, checked.

    Raises ValueError for an unknown network, an unknown key, and a size that is none.
    """
    if not isinstance(network, str) or network not in CONFIGS:
        raise ValueError(f"no network is called {network!r}; known: {', '.join(CONFIGS)}")
    if not isinstance(said, Mapping):
        raise ValueError(f"configuration of {network}: found {said!r}, expected names and sizes")
    known = [field.name for field in fields(CONFIGS[network])]
    words = {"metric": METRICS}
    for name, size in said.items():
        if name not in known:
            raise ValueError(f"{network} has no {name!r}; known: {', '.join(known)}")
        if name in words:
            if size not in words[name]:
                raise ValueError(f"{network}: {name} is {size!r}, expected {' or '.join(METRICS)}")
            continue
        least = 0 if name in FILTERS else 1
        if type(size) is not int or not least <= size <= LARGEST:
            raise ValueError(f"{network}: {name} is {size!r}, expected {least} to {LARGEST}")
    return CONFIGS[network](**said)


def build_from(config: Config) -> PFrameCodec:
    """An untrained codec of these sizes."""
    if isinstance(config, PFrameConfig):
        stills = StillFilter(config.stills) if config.stills else None
        return PFrameCodec(PFrameNetwork(config), stills=stills)
    prior = Dvc2019Prior(config.motion, config.hyper, config.latents)
    return PFrameCodec(Dvc2019Network(config), prior, quantiser="noise")


def describe(codec: PFrameCodec) -> tuple[str, dict[str, Any]]:
    """Name and configuration that :func:`build` makes this codec from."""
    if isinstance(codec.network, PFrameNetwork):
        said = asdict(codec.network.config)
        for later in ("metric", *FILTERS):
            if said[later] == getattr(PFrameConfig, later):
                del said[later]  # files of before there was a choice keep their SHA-256
        return "dvc", said
    if isinstance(codec.network, Dvc2019Network):
        return "dvc2019", asdict(codec.network.config)
    raise ValueError(f"no name is known for a {type(codec.network).__name__}")
