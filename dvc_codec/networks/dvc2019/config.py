"""Sizes of the dvc2019 network and its prior. Stored with the weights as JSON."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Dvc2019Config:
    """The defaults are the paper's sizes; ``hyper`` is that of the authors' code."""

    flow: int = 32  # channels of the flow network: 1, 2, 1 and 1/2 times that many, as in SpyNet
    motion: int = 128  # channels and latents of the motion autoencoder
    compensation: int = 64
    residual: int = 128  # N: channels of the residual autoencoder
    latents: int = 96  # M: its latents
    hyper: int = 64  # channels and latents of the hyperprior

    @classmethod
    def small(cls) -> "Dvc2019Config":
        """A size for tests: every part is there, a 64x64 frame takes milliseconds."""
        return cls(flow=8, motion=16, compensation=16, residual=16, latents=16, hyper=8)
