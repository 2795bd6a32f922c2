"""Files that mean harm are refused, or played for no longer than they can be, in little memory."""

import time
import tracemalloc
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dvc_codec.codec.decoder import Decoder
from dvc_codec.codec.model import Model
from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.codec.verify import check_bytes
from dvc_codec.container import Reader, Writer
from dvc_codec.container.frames import SHORTEST_FRAME
from dvc_codec.errors import DvcError
from tests.container.attacks import ATTACKS
from tests.container.examples import HEADER, write_example

MODEL = Model("test", HEADER.model_hash, PFrameCodec())
MOST_FRAMES = 5000  # what a decoder may show of a file of some kilobytes, concealed ones included


def everything(path: Path) -> int:
    """All that can be asked of a file; -> frames shown."""
    with suppress(DvcError):
        check_bytes(path)
    with suppress(DvcError), Reader(path) as reader:
        list(reader.chunks(tolerant=True))
        list(reader.packets())
        for number in range(min(len(reader.index), 50) + 1):
            reader.packets_before(number)
        reader.read_cut_gop()
    count = 0
    with (
        suppress(DvcError),
        Decoder(path, MODEL) as decoder,
        closing(decoder.shown()) as shown,
    ):
        for _ in shown:
            count += 1
            assert count <= MOST_FRAMES
    return count


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_costs_little(name: str, tmp_path: Path) -> None:
    path = tmp_path / "attack.dvc"
    path.write_bytes(ATTACKS[name]())
    everything(path)  # once, for what is loaded at first use
    tracemalloc.start()
    begun = time.process_time()
    shown = everything(path)
    assert time.process_time() - begun < 5
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20e6
    if name not in ("a_gap_of_ages", "markers_and_nothing_else"):
        assert shown * SHORTEST_FRAME <= path.stat().st_size


def test_an_attack_cannot_be_resumed(tmp_path: Path) -> None:
    for name, make in ATTACKS.items():
        part = tmp_path / "v.dvc.part"
        part.write_bytes(make())
        with suppress(DvcError), Writer(tmp_path / "v.dvc", HEADER, resume=True) as writer:
            assert writer.frame_count <= 3, name


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 2**16), st.binary(min_size=1, max_size=9)), max_size=6
    ),
    cut=st.integers(0, 2**16),
    repair=st.booleans(),
)
def test_whatever_is_changed_only_documented_errors_come(
    tmp_path: Path, changes: list[tuple[int, bytes]], cut: int, repair: bool
) -> None:
    from benchmarks.robustness import repaired

    data = bytearray(write_example(tmp_path / "good.dvc"))
    for at, new in changes:
        place = at % len(data)
        data[place : place + len(new)] = new
    if cut % 3 == 0:
        del data[1 + cut % len(data) :]
    path = tmp_path / "changed.dvc"
    path.write_bytes(repaired(bytes(data)) if repair else bytes(data))
    everything(path)
