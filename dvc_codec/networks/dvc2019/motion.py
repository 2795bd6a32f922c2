"""The motion autoencoder: flow in pixels <-> latents on the 1/16 grid, rounded with step 1."""

from torch import Tensor, nn

from dvc_codec.networks.dvc2019.gdn import GDN
from dvc_codec.networks.dvc2019.layers import down, up


class MotionAutoencoder(nn.Module):
    """(B, 2, H, W) <-> (B, C, H/16, W/16): four stride-2 stages, GDN between (paper, figure 4)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        c = channels
        self.encoder = nn.Sequential(
            down(2, c, 3), GDN(c), down(c, c, 3), GDN(c), down(c, c, 3), GDN(c), down(c, c, 3)
        )
        self.decoder = nn.Sequential(
            up(c, c, 3),
            GDN(c, inverse=True),
            up(c, c, 3),
            GDN(c, inverse=True),
            up(c, c, 3),
            GDN(c, inverse=True),
            up(c, 2, 3),
        )

    def analyse(self, flow: Tensor) -> Tensor:
        """Encoder: flow -> latents, before rounding."""
        latents: Tensor = self.encoder(flow)
        return latents

    def synthesise(self, symbols: Tensor) -> Tensor:
        """Decoder: symbols -> flow."""
        flow: Tensor = self.decoder(symbols)
        return flow
