"""The stopwatch of stages finds what it watches, and leaves everything as it was."""

from pathlib import Path

from benchmarks.stages import measure
from dvc_codec.codec.choosing import Choosing
from dvc_codec.codec.encoder import encode_file
from dvc_codec.codec.model import load_model
from tests.files import write_video
from tests.moving import panned_texture


def test_stages_of_encoder_and_decoder(tmp_path: Path) -> None:
    shown = panned_texture(size=(96, 80), frames=5, shift=(-1.3, 0.6), seed=9)
    source, coded = write_video(tmp_path / "in.y4m", shown), tmp_path / "coded.dvc"
    model, before = load_model(), Choosing._choose
    encode_file(source, coded, lagrangian=512.0, intra="hevc", between=1, model=model)
    stages = measure(model, source, coded, 512.0, 5)
    both = {"entropy coding", "predict: network", "loop filter: network", "post-filter", "rest"}
    encoder = {"flow", "residual: transform", "residual: second look", "what is known of symbols"}
    assert both <= stages.decode.keys() and both | encoder <= stages.encode.keys()
    assert all(stages.encode[name] > 0 for name in encoder | both)
    assert not encoder & stages.decode.keys()
    assert stages.decoder_macs_per_pixel > 10_000
    assert Choosing._choose is before
