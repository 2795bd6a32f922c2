"""A codec whose networks matter, without any training."""

import torch

from dvc_codec.codec.p_frame import PFrameCodec


def shaken(codec: PFrameCodec) -> PFrameCodec:
    """As training may leave it: every correction is something. -> ``codec``, changed."""
    torch.manual_seed(2)
    with torch.no_grad():
        for name, parameter in codec.named_parameters():
            if name.startswith("prior.") and name.endswith("out.bias"):
                parameter.add_(15 * torch.randn_like(parameter) - 15)
            elif "transform" not in name and "luma." not in name and "chroma." not in name:
                parameter.add_(0.02 * torch.randn_like(parameter))
    codec.prior.bake()
    return codec
