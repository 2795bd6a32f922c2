"""What all tests may ask for."""

import os
from pathlib import Path

# Before anything imports torch, and for every process that a test starts: pictures here are small,
# and threads that wait for each other on a busy machine take longer than the work. Tests about
# threads say --threads.
os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED_DATA = REPOSITORY.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real videos beside the repository; skips where there is none."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs the data folder {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def flower(shared_data: Path) -> Path:
    """A real clip: 960x540, 150 frames at 30000/1001, H.264 with B frames, AAC sound."""
    path = shared_data / "sample" / "flower.mp4"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    return path


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file to code with: the shipped one, or an untrained codec's where none is there."""
    from dvc_codec.codec.model import save_model, untrained_model, weights_file

    shipped = weights_file()
    if shipped.is_file():
        return shipped
    path = tmp_path_factory.mktemp("weights") / "untrained.safetensors"
    save_model(untrained_model().codec, path, "untrained, for tests")
    return path


@pytest.fixture(scope="session")
def shaken_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file whose networks matter, shipped or not."""
    from dvc_codec.codec.model import save_model
    from dvc_codec.codec.p_frame import PFrameCodec
    from tests.shaken import shaken

    path = tmp_path_factory.mktemp("weights") / "shaken.safetensors"
    save_model(shaken(PFrameCodec()), path, "shaken, for tests")
    return path
