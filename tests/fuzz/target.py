"""What a fuzzer calls: everything that can be asked of a file, and nothing but documented errors.

An input is a byte and a file. The byte says whether CRCs are made right (odd), so that what stands
behind them is reached, or left as they are.
"""

import tempfile
from contextlib import closing, suppress
from functools import cache
from pathlib import Path

import torch

from benchmarks.robustness import repaired
from dvc_codec.codec.decoder import Decoder
from dvc_codec.codec.limits import Limits
from dvc_codec.codec.model import Model
from dvc_codec.codec.verify import check_bytes
from dvc_codec.container import Reader
from dvc_codec.errors import DvcError
from tests.golden.make import narrow_model

FOLDER = Path(__file__).parent
CORPUS = FOLDER / "corpus"
MOST_FRAMES = 5000  # that a file of some kilobytes may show, concealed ones included
LIMITS = Limits(pixels=1 << 16)  # small pictures are as telling, and fast


@cache
def model() -> Model:
    """The weights that the corpus names."""
    torch.set_num_threads(1)
    return narrow_model()


@cache
def place() -> Path:
    """Where inputs are put for readers of files."""
    return Path(tempfile.mkdtemp(prefix="dvc-fuzz-")) / "input.dvc"


def one_input(data: bytes) -> None:
    """Raises nothing, whatever ``data`` is."""
    file = data[1:]
    path = place()
    path.write_bytes(repaired(file) if data[:1] and data[0] & 1 else file)
    with suppress(DvcError):
        check_bytes(path)
    with suppress(DvcError), Reader(path) as reader:
        list(reader.chunks(tolerant=True))
        list(reader.packets())
        reader.packets_before(0)
    with (
        suppress(DvcError),
        Decoder(path, model(), limits=LIMITS) as decoder,
        closing(decoder.shown()) as shown,
    ):
        for number, _ in enumerate(shown):
            assert number < MOST_FRAMES
