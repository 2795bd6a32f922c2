"""Files of earlier days decode to what they always decoded to."""

import json
from pathlib import Path

import pytest

from tests.golden.make import FOLDER, HASHES, decoded, golden_model

EXPECTED = json.loads(HASHES.read_text())


def test_every_file_has_its_hashes() -> None:
    assert {path.name for path in FOLDER.glob("*.dvc")} == set(EXPECTED)
    assert len(EXPECTED) >= 20


@pytest.mark.parametrize("name", EXPECTED)
def test_a_golden_file_decodes_to_its_hashes(name: str, weights: Path) -> None:
    from dvc_codec.codec.model import load_model

    model = load_model(weights) if name.startswith("p-") else golden_model()
    assert decoded(FOLDER / name, model) == EXPECTED[name]
