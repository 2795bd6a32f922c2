import random
from pathlib import Path

from benchmarks.robustness import lines_of, mutate, repaired
from dvc_codec.container.chunks import CHUNK_HEAD, SYNC
from tests.container.examples import write_example


def test_a_seed_says_what_is_mutated(tmp_path: Path) -> None:
    good = write_example(tmp_path / "good.dvc")
    damaged = [mutate(good, random.Random(seed)) for seed in range(300)]
    assert damaged == [mutate(good, random.Random(seed)) for seed in range(300)]
    assert sum(data != good for data in damaged) > 280


def test_a_right_file_is_repaired_to_itself(tmp_path: Path) -> None:
    good = write_example(tmp_path / "good.dvc")
    assert repaired(good) == good
    flipped = bytearray(good)
    flipped[good.find(SYNC) + 12] ^= 1  # in a chunk's CRC
    assert repaired(bytes(flipped)) == good


def test_markers_inside_a_chunk_s_head_are_repaired_too() -> None:
    """The next marker stands before the end of this head: the body's length is none, not less."""
    assert SYNC in repaired(bytes(40) + SYNC + b"G" + SYNC + bytes(2 * CHUNK_HEAD))


def test_half_a_line_of_a_run_that_was_killed_is_left_out(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    assert lines_of(log) == []
    log.write_text('{"seed": 0}\n{"seed": 1}\n{"se')
    assert lines_of(log) == ['{"seed": 0}', '{"seed": 1}']
