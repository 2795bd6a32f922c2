import json
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.machines import BESIDE, COMBINATIONS, Coded, Combination, Found, Matrix, parsing


def found(combination: Combination, symbols: str = "s", psnr: float = 30.0) -> Found:
    return Found(str(combination), "file", symbols, [40.0, psnr], 1)


def matrix_of(folder: Path, *all_found: Found) -> Matrix:
    lines = [json.dumps(asdict(one)) for one in all_found]
    (folder / "found.jsonl").write_text("\n".join([*lines, '{"combi']))
    return Matrix(folder, None)


def test_there_are_sixteen_combinations_and_some_beside() -> None:
    assert len(set(COMBINATIONS)) == 16
    assert not set(COMBINATIONS) & set(BESIDE)


def test_what_was_found_is_not_looked_for_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No process is started, which would fail: there is no such file."""
    coded = Coded("video", "nowhere.mp4", "file", [40.0, 30.01])
    here, there = COMBINATIONS[0], COMBINATIONS[-1]
    parsing(matrix_of(tmp_path, found(here, "other"), found(there)), (here, there), [coded])
    said = capsys.readouterr().out
    assert f"| {here} | DIFFERENT -0.0050 |" in said
    assert f"| {there} | = -0.0050 |" in said
    assert "2 combinations, 1 files: 1 parsing differences" in said
