"""Every attack comes to the exit code it must, in little time and memory, with one line or none."""

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from dvc_codec.cli.main import main
from tests.attacks.make import FOLDER, OWN, attack_model

# What `info`, `verify --bytes-only` and `decode` say of each: docs/usage.md has the codes
EXPECTED = {
    "a_b_frame_between_nothing": (0, 5, 11),
    "a_chunk_of_four_gigabytes": (0, 5, 5),
    "a_codec_that_is_a_path": (0, 5, 11),
    "a_film_of_ages": (0, 5, 11),
    "a_footer_that_points_outside": (0, 5, 11),
    "a_gap_of_ages": (0, 5, 11),
    "a_group_that_starts_with_p": (0, 5, 11),
    "a_header_of_four_gigabytes": (5, 5, 5),
    "a_kind_of_later_days": (0, 6, 6),
    "a_later_version": (6, 6, 6),
    "a_number_without_end": (0, 5, 5),
    "a_payload_of_gigabytes": (0, 5, 11),
    "a_picture_of_another_size": (0, 5, 11),
    "a_rate_that_is_none": (0, 5, 11),
    "an_index_of_one_place": (0, 5, 11),
    "an_index_that_points_at_itself": (0, 5, 11),
    "another_kind_of_file": (5, 5, 5),
    "b_frames_that_never_come": (0, 5, 11),
    "billions_of_frames": (0, 5, 5),
    "billions_of_groups": (0, 5, 11),
    "frames_without_payload": (0, 5, 11),
    "many_pictures_in_one": (0, 5, 11),
    "most_frames_a_group_may_have": (0, 5, 5),
    "nothing": (5, 5, 5),
    "other_weights": (0, 5, 7),
    "packets_without_end": (0, 5, 5),
    "pictures_of_all_memory": (0, 5, 8),
    "rubbish_for_pictures": (0, 5, 11),
    "symbols_that_end": (0, 5, 11),
    "tags_that_steer_the_terminal": (0, 5, 11),
    "the_largest_symbols": (0, 5, 11),
    "times_at_the_edge": (0, 5, 11),
}


@pytest.fixture(autouse=True)
def weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights that the files name."""
    model = attack_model()
    monkeypatch.setattr("dvc_codec.cli.decode.model_of_source", lambda arguments: model)
    monkeypatch.setattr("dvc_codec.cli.decode.speed_note", lambda model: None)


def test_every_attack_has_its_codes() -> None:
    assert {path.stem for path in FOLDER.glob("*.dvc")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_an_attack_ends_as_documented(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ends_as_documented(FOLDER / f"{name}.dvc", tmp_path, capfd, EXPECTED[name])


@pytest.mark.parametrize("make", OWN, ids=lambda make: make.__name__)
def test_an_attack_made_today_does_too(
    make: Callable[[], bytes], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What is stored was made for the bitstream of its day."""
    path = tmp_path / "attack.dvc"
    path.write_bytes(make())
    capfd.readouterr()  # encoders talk
    (tmp_path / "out").mkdir()
    ends_as_documented(path, tmp_path / "out", capfd, EXPECTED[make.__name__])


def ends_as_documented(
    path: Path, folder: Path, capfd: pytest.CaptureFixture[str], expected: tuple[int, int, int]
) -> None:
    out = folder / "out.y4m"
    commands = (
        ["info", str(path)],
        ["verify", "--bytes-only", str(path)],
        ["decode", str(path), str(out), "--quiet"],
    )
    main(["decode", str(path), str(folder / "first.y4m"), "--quiet"])  # loads what it needs
    (folder / "first.y4m").unlink(missing_ok=True)
    capfd.readouterr()
    codes = []
    tracemalloc.start()
    begun = time.process_time()
    for words in commands:
        codes.append(main(words))
        said = capfd.readouterr()
        assert len(said.err.splitlines()) == bool(codes[-1])
        assert not set("\x1b\x07\x9b\u202e") & set(said.out + said.err)
    assert time.process_time() - begun < 5
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    assert tuple(codes) == expected
    assert [p.name for p in folder.iterdir()] == ["out.y4m"] * (codes[-1] in (0, 11))
