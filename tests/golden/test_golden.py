"""Files of earlier days decode to what they always decoded to."""

import json
from pathlib import Path

import pytest

from dvc_codec.codec.model import Model
from tests.golden.make import FOLDER, HASHES, decoded, golden_model, narrow_model

EXPECTED = json.loads(HASHES.read_text())
ROUNDING = 0.2  # levels of mean luma that another machine's rounding may make


@pytest.fixture(scope="module")
def models() -> dict[bool, Model]:
    """By whether a file has P frames."""
    return {False: golden_model(), True: narrow_model()}


def test_every_file_has_its_hashes() -> None:
    assert {path.name for path in FOLDER.glob("*.dvc")} == set(EXPECTED)
    assert len(EXPECTED) >= 20
    assert sum("symbols" in expected for expected in EXPECTED.values()) >= 10


@pytest.mark.parametrize("name", EXPECTED)
def test_a_golden_file_decodes_to_its_hashes(name: str, models: dict[bool, Model]) -> None:
    found = decoded(Path(FOLDER / name), models["symbols" in EXPECTED[name]])
    expected = dict(EXPECTED[name])
    brightness = expected.pop("brightness", None)
    assert found.pop("brightness", None) == pytest.approx(brightness, abs=ROUNDING)
    assert found == expected
