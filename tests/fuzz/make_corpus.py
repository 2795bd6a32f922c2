"""Makes the corpus: inputs to start from, as small as they can be and each with something else.

python -m tests.fuzz.make_corpus
"""

from pathlib import Path

from dvc_codec.container.header import PREFIX
from tests.attacks.make import FOLDER as ATTACKS
from tests.fuzz.target import CORPUS, model
from tests.golden.make import FOLDER as GOLDEN

# The files with P frames name weights of the fuzzer's
FROM_GOLDEN = ("p-1x1", "p-square", "p-coarse", "p-groups")
FROM_ATTACKS = ("a_gap_of_ages", "an_index_of_one_place", "symbols_that_end", "times_at_the_edge")


def main() -> None:
    """Write all of them, with their CRCs left as they are and made right."""
    for folder, names in ((GOLDEN, FROM_GOLDEN), (ATTACKS, FROM_ATTACKS)):
        for name in names:
            data = bytearray((folder / f"{name}.dvc").read_bytes())
            data[PREFIX : PREFIX + 32] = model().sha256
            write(name, b"\1" + bytes(data))
    write("golden-as-it-is", b"\0" + (GOLDEN / "p-1x1.dvc").read_bytes())
    write("nothing", b"\0")


def write(name: str, data: bytes) -> Path:
    """An input of the corpus."""
    path = CORPUS / name
    path.write_bytes(data)
    return path


if __name__ == "__main__":
    main()
