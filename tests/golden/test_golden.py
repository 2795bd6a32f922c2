"""Files of earlier days decode to what they always decoded to."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dvc_codec.codec.model import Model
from tests.golden.make import FOLDER, GOLDEN, HASHES, Golden, decoded, model_of

EXPECTED = json.loads(HASHES.read_text())
ROUNDING = 0.2  # levels of mean luma that another machine's rounding may make


FILES = {f"{golden.name}.dvc": golden for golden in GOLDEN}


@pytest.fixture(scope="module")
def weights_of() -> Callable[[Golden], Model]:
    """Each model is made once."""
    made: dict[tuple[bool, str], Model] = {}

    def find(golden: Golden) -> Model:
        kind = golden.gop > 1, golden.metric
        if kind not in made:
            made[kind] = model_of(golden)
        return made[kind]

    return find


def test_every_file_has_its_hashes() -> None:
    assert {path.name for path in FOLDER.glob("*.dvc")} == set(EXPECTED) == set(FILES)
    assert len(EXPECTED) >= 20
    assert sum("symbols" in expected for expected in EXPECTED.values()) >= 10


@pytest.mark.parametrize("name", EXPECTED)
def test_a_golden_file_decodes_to_its_hashes(
    name: str, weights_of: Callable[[Golden], Model]
) -> None:
    found = decoded(Path(FOLDER / name), weights_of(FILES[name]))
    expected = dict(EXPECTED[name])
    brightness = expected.pop("brightness", None)
    assert found.pop("brightness", None) == pytest.approx(brightness, abs=ROUNDING)
    assert found == expected
