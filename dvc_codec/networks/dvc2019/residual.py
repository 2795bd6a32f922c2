"""The residual autoencoder and its hyperprior's encoder; the hyperprior's decoder is made of
integers, in ``entropy.dvc2019_prior``.

Source: Balle et al., Variational Image Compression with a Scale Hyperprior (ICLR 2018), as the
paper uses it.
"""

from torch import Tensor, nn

from dvc_codec.networks.dvc2019.gdn import GDN
from dvc_codec.networks.dvc2019.layers import down, up
from dvc_codec.networks.dvc2019.packing import CHANNELS, pack, unpack
from dvc_codec.networks.planes import Planes

# Residuals are about this large: without it every latent of a fresh network rounds to zero.
UNIT = 0.02


class ResidualAutoencoder(nn.Module):
    """Residual <-> latents (B, M, H/16, W/16), rounded with step 1.

    Packing is the first stride-2 stage (see :mod:`.packing`), three with 5x5 kernels follow.
    """

    def __init__(self, channels: int, latents: int) -> None:
        super().__init__()
        n = channels
        self.encoder = nn.Sequential(
            down(CHANNELS, n, 5), GDN(n), down(n, n, 5), GDN(n), down(n, latents, 5)
        )
        self.decoder = nn.Sequential(
            up(latents, n, 5),
            GDN(n, inverse=True),
            up(n, n, 5),
            GDN(n, inverse=True),
            up(n, CHANNELS, 5),
        )

    def analyse(self, residual: Planes) -> Tensor:
        """Encoder: residual -> latents, before rounding."""
        latents: Tensor = self.encoder(pack(residual) / UNIT)
        return latents

    def synthesise(self, symbols: Tensor) -> Planes:
        """Decoder: symbols -> residual."""
        return unpack(self.decoder(symbols) * UNIT)


class HyperEncoder(nn.Sequential):
    """Magnitudes of the residual's latents -> hyper latents (B, hyper, H/64, W/64)."""

    def __init__(self, latents: int, hyper: int) -> None:
        super().__init__(
            nn.Conv2d(latents, hyper, 3, padding=1),
            nn.ReLU(),
            down(hyper, hyper, 5),
            nn.ReLU(),
            down(hyper, hyper, 5),
        )
