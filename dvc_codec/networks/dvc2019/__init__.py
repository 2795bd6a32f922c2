"""The network of Lu et al., DVC: An End-to-end Deep Video Compression Framework (CVPR 2019).

For comparison and teaching, beside the default network and behind the same interface
(``networks.interface``). Where it departs from the paper: pictures are 4:2:0 instead of RGB
(see :mod:`.packing`), and scales come from an integer network (``entropy.dvc2019_prior``) so that
files decode on every machine. One model per lambda: the rate index is recorded and ignored.
"""

from dvc_codec.networks.dvc2019.config import Dvc2019Config
from dvc_codec.networks.dvc2019.network import Dvc2019Network

__all__ = ["Dvc2019Config", "Dvc2019Network"]
