"""A file decodes in another process, on any number of threads, and parses on other processors.

With weights whose networks matter: those of an untrained codec are zero, and zeros are alike
everywhere.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dvc_codec.cli.demo import mean_psnr
from dvc_codec.codec.frame_decoder import FrameParser
from dvc_codec.codec.model import has_fast_bfloat16, load_model
from dvc_codec.container import Reader, places
from tests.files import write_video
from tests.moving import panned_texture

REPOSITORY = Path(__file__).resolve().parents[2]
SIZE = (161, 99)  # no multiple of anything, and enough for several threads
FRAMES = 5


def python(*words: object, **more: str) -> str:
    """Standard output of a process of its own, which must succeed and have no complaint but that
    the machine is slow.
    """
    command = [sys.executable, *map(str, words)]
    environment = {**os.environ, **more}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=REPOSITORY)
    said = [line for line in done.stderr.splitlines() if "no fast bfloat16" not in line]
    assert (done.returncode, said) == (0, [])
    return done.stdout


def symbols_hash(coded: Path, weights: Path) -> str:
    """SHA-256 of all symbols of a file, in coding order."""
    model = load_model(weights)
    found = hashlib.sha256()
    with Reader(coded) as reader:
        parser = FrameParser(model, reader.header)
        for number in range(len(reader.index)):
            gop = reader.read_gop(number)
            for record, place in zip(gop.frames, places(gop), strict=True):
                for plane in parser.parse(record, place).symbols.values():
                    found.update(plane.int().numpy().tobytes())
    return found.hexdigest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, shaken_weights: Path) -> Path:
    """in.y4m, and v.dvc and recon.y4m that a process with one thread made of it."""
    folder = tmp_path_factory.mktemp("made")
    source = write_video(folder / "in.y4m", panned_texture(size=SIZE, frames=FRAMES))
    words = ("--recon", folder / "recon.y4m", "--model", shaken_weights, "--threads", 1)
    python("-m", "dvc_codec.cli.main", "encode", source, folder / "v.dvc", *words, "--quiet")
    return folder


def test_two_threads_write_the_same_file(
    folder: Path, tmp_path: Path, shaken_weights: Path
) -> None:
    words = (folder / "in.y4m", tmp_path / "v.dvc", "--model", shaken_weights, "--threads", 2)
    python("-m", "dvc_codec.cli.main", "encode", *words)
    assert (tmp_path / "v.dvc").read_bytes() == (folder / "v.dvc").read_bytes()


@pytest.mark.parametrize("threads", [1, 2])
def test_another_process_on_any_threads_gives_the_encoders_pictures(
    folder: Path, tmp_path: Path, shaken_weights: Path, threads: int
) -> None:
    words = (folder / "v.dvc", tmp_path / "out.y4m", "--model", shaken_weights)
    said = python("-m", "dvc_codec.cli.main", "decode", *words, "--threads", threads)
    assert f"{FRAMES} frames, bit-exact" in said
    assert (tmp_path / "out.y4m").read_bytes() == (folder / "recon.y4m").read_bytes()


@pytest.mark.skipif(
    not has_fast_bfloat16(), reason="needs AVX512-BF16, to encode what a processor without decodes"
)
def test_a_processor_without_bfloat16_reads_every_symbol_and_sees_nearly_the_same(
    folder: Path, tmp_path: Path, shaken_weights: Path
) -> None:
    """oneDNN is told that there is nothing beyond AVX2; the networks run in float32 then."""
    coded, out = folder / "v.dvc", tmp_path / "out.y4m"
    program = f"""if True:
        from pathlib import Path
        from dvc_codec.codec.decoder import decode_file
        from dvc_codec.codec.model import has_fast_bfloat16, load_model
        from tests.cli.test_other_machines import symbols_hash
        coded, weights = Path({str(coded)!r}), Path({str(shaken_weights)!r})
        assert not has_fast_bfloat16()
        print(symbols_hash(coded, weights))
        print(decode_file(coded, {str(out)!r}, model=load_model(weights)).differing)
    """
    symbols, differing = python("-c", program, ONEDNN_MAX_CPU_ISA="AVX2").split()
    assert symbols == symbols_hash(coded, shaken_weights)
    assert 0 < int(differing) < FRAMES  # the I frame is the same, and rounding does show
    assert mean_psnr(folder / "recon.y4m", out)[1] > 50
    here, there = (mean_psnr(folder / "in.y4m", at)[1] for at in (folder / "recon.y4m", out))
    assert abs(here - there) < 0.5
