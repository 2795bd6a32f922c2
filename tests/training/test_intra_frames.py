"""I frames of training are those of use."""

import numpy as np
import pytest
import torch

from dvc_codec.codec.pictures import to_picture
from dvc_codec.intra import encode_for_lambda
from dvc_codec.training.crops import batch
from dvc_codec.training.intra_frames import hevc_intra
from tests.moving import panned_texture


@pytest.mark.parametrize("lagrangian", [128.0, 512.0, 2048.0])
def test_training_starts_from_the_i_frames_of_use(lagrangian: float) -> None:
    picture = panned_texture(size=(128, 128), frames=1)[0]
    chroma = torch.from_numpy(np.stack((picture.u, picture.v)))
    coded = hevc_intra(torch.from_numpy(picture.y), chroma, lagrangian)
    _, _, used = encode_for_lambda(picture, lagrangian, "hevc")
    assert to_picture(batch([coded]), 128, 128).equals(used)
