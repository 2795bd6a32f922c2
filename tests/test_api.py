"""The codec from Python; the examples of README and docs are run here."""

import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

import dvc_codec
from dvc_codec.codec.model import Model, load_model
from dvc_codec.errors import OutOfRange
from tests.files import pictures_of, write_video
from tests.moving import panned_texture

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def model(weights: Path) -> Model:
    return load_model(weights)


def test_the_import_is_light() -> None:
    program = "import sys, dvc_codec; assert 'torch' not in sys.modules; dvc_codec.Decoder"
    assert subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY).returncode == 0
    with pytest.raises(AttributeError):
        dvc_codec.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_pictures_from_memory_and_back(tmp_path: Path, model: Model) -> None:
    pictures = panned_texture(size=(65, 47), frames=7)
    path = tmp_path / "v.dvc"
    with dvc_codec.Encoder(path, 65, 47, frame_rate=Fraction(30000, 1001), gop=3,
                           quality=80, model=model) as encoder:  # fmt: skip
        bits = [encoder.write(*picture.planes) for picture in pictures]
        assert not path.exists()
    assert sum(bits) < 8 * path.stat().st_size
    with dvc_codec.Decoder(path, model=model) as decoder:
        frames = list(decoder)
        assert len(decoder) == len(frames) == 7
        assert all(frame.exact and not frame.lost for frame in frames)
        assert frames[6].seconds == pytest.approx(6 * 1001 / 30000)
        assert frames[0].rgb().shape == (47, 65, 3)
        tensor = frames[0].torch()
        assert tensor.shape == (3, 47, 65) and 0 <= float(tensor.min()) <= float(tensor.max()) <= 1
        assert np.array_equal(decoder[4].picture.y, frames[4].picture.y)
        assert decoder[-1].seconds == frames[6].seconds
        assert decoder.at(0.1).seconds == pytest.approx(3 * 1001 / 30000)
        with pytest.raises(IndexError):
            decoder[7]
    error = np.abs(frames[5].picture.y.astype(int) - pictures[5].y)
    assert error.mean() < 6


def test_files_by_one_call(tmp_path: Path, model: Model) -> None:
    source = write_video(tmp_path / "in.y4m", panned_texture(frames=3))
    small = dvc_codec.encode_file(source, tmp_path / "s.dvc", quality=0, model=model)
    large = dvc_codec.encode_file(source, tmp_path / "l.dvc", quality=100, model=model)
    assert small.file_bytes < large.file_bytes
    assert dvc_codec.decode_file(tmp_path / "l.dvc", tmp_path / "o.y4m", model=model).frames == 3
    assert len(pictures_of(tmp_path / "o.y4m")) == 3


def test_nothing_is_left_where_nothing_was_written(tmp_path: Path, model: Model) -> None:
    with (
        pytest.raises(OutOfRange, match="no picture"),
        dvc_codec.Encoder(tmp_path / "v.dvc", 64, 48, model=model),
    ):
        pass
    with (
        pytest.raises(RuntimeError),
        dvc_codec.Encoder(tmp_path / "v.dvc", 64, 48, model=model) as encoder,
    ):
        encoder.write(*panned_texture(frames=1)[0].planes)
        raise RuntimeError
    with (
        pytest.raises(OutOfRange, match="expected"),
        dvc_codec.Encoder(tmp_path / "v.dvc", 66, 48, model=model) as encoder,
    ):
        encoder.write(*panned_texture(frames=1)[0].planes)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("document", ["README.md", "docs/usage.md"])
def test_the_examples_of_the_documents_run(
    document: str, tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every ```python block, in one folder that has an in.mp4."""
    blocks = re.findall(r"```python\n(.*?)```", (REPOSITORY / document).read_text(), re.S)
    assert blocks
    pictures = panned_texture(size=(64, 48), frames=5)
    write_video(tmp_path / "in.mp4", pictures)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dvc_codec.codec.model.weights_file", lambda metric="mse": weights)
    for block in blocks:
        exec(compile(block, document, "exec"), {})
    assert torch is not None
