"""--metric: other weights, which a decoder finds by itself."""

from pathlib import Path

import pytest

from dvc_codec.cli.main import main
from dvc_codec.codec.model import load_model, save_model, weights_file
from dvc_codec.codec.registry import build
from dvc_codec.container import Reader
from dvc_codec.errors import WrongModel
from dvc_codec.networks.config import METRICS
from tests.files import pictures_of, write_video
from tests.moving import panned_texture

WRONG_MODEL = WrongModel.exit_code


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Small weights in the place of the shipped ones."""
    sizes = dict.fromkeys(("quarter", "eighth", "sixteenth", "features", "flow"), 4)
    files = {}
    for metric in METRICS:
        files[metric] = tmp_path / f"{metric}.safetensors"
        save_model(build("dvc", {**sizes, "metric": metric}), files[metric], f"for {metric}")
    monkeypatch.setattr("dvc_codec.codec.model.weights_file", lambda metric="mse": files[metric])
    return files


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.mkv"
    write_video(path, panned_texture(size=(96, 64), frames=4))
    return path


@pytest.mark.parametrize("metric", METRICS)
def test_a_decoder_takes_the_weights_that_the_file_names(
    metric: str, shipped: dict[str, Path], source: Path, tmp_path: Path
) -> None:
    coded, recon, out = (tmp_path / name for name in ("a.dvc", "recon.y4m", "out.y4m"))
    words = ["--metric", metric, "--recon", str(recon), "--quiet"]
    assert main(["encode", str(source), str(coded), *words]) == 0
    assert main(["decode", str(coded), str(out), "--quiet"]) == 0
    assert main(["verify", str(coded), "--quiet"]) == 0
    with Reader(coded) as reader:
        assert reader.header.model_hash == load_model(shipped[metric]).sha256
    pairs = zip(pictures_of(recon), pictures_of(out), strict=True)
    assert all(a.equals(b) for a, b in pairs)


def test_a_file_of_one_is_a_source_for_the_other(
    shipped: dict[str, Path], source: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "a.dvc", tmp_path / "b.dvc"
    assert main(["encode", str(source), str(first), "--metric", "ms-ssim", "--quiet"]) == 0
    assert main(["encode", str(first), str(second), "--quiet"]) == 0
    with Reader(second) as reader:
        assert reader.header.model_name == "for mse"


def test_weights_given_are_the_only_ones(
    shipped: dict[str, Path], source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    coded = tmp_path / "a.dvc"
    assert main(["encode", str(source), str(coded), "--metric", "ms-ssim", "--quiet"]) == 0
    words = ["--model", str(shipped["mse"]), "--quiet"]
    assert main(["decode", str(coded), str(tmp_path / "o.y4m"), *words]) == WRONG_MODEL
    assert "for ms-ssim" in capfd.readouterr().err


@pytest.mark.parametrize("metric", METRICS)
def test_what_ships(metric: str) -> None:
    codec = load_model(weights_file(metric)).codec  # type: ignore[arg-type]
    assert codec.network.metric == metric
