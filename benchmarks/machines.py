"""One file on many machines: does it parse to the same symbols, and how far do pictures drift?

    python benchmarks/machines.py VIDEO... [--frames 4] [--drift VIDEO] [--out FOLDER] [--few]

Each VIDEO is coded once, here; then decoded in processes that are told to use other instructions,
another number of threads, other arithmetic. A row for each of these, a column for each video:
"=" where every symbol is the same, then how many dB the weighted PSNR against the source differs
from the encoder's reconstruction ("exact" where every picture is the encoder's).

--drift codes one more video as a single group of 96 frames: a second table has the mean difference
over its first 12, 32 and 96 frames, which are what groups of these lengths would be, and that of
the worst frame. One thread only, where the first table shows that threads change nothing.

In FOLDER is what was coded and found; the same command goes on from there.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dvc_codec.codec.model import Model

ISAS = ("SSE41", "AVX2", "AVX512_CORE", "DEFAULT")
CAPABILITY = {"SSE41": "default", "AVX2": "avx2"}
LENGTHS = (12, 32, 96)
MOST_DRIFT = 0.05  # dB


@dataclass(frozen=True)
class Combination:
    """What a decoding process is told.

    Args:
        isa: the most that oneDNN and PyTorch may use of the processor's instructions.
        threads: of the networks.
        arithmetic: of the networks, float32 or bfloat16; "float64" computes what is needed to parse
            in double precision; "no oneDNN" is float32 by PyTorch's own kernels.
    """

    isa: str
    threads: int
    arithmetic: str

    def __str__(self) -> str:
        return f"{self.isa} | {self.threads} | {self.arithmetic}"

    def environment(self) -> dict[str, str]:
        """For a process that is to run as this."""
        told = {**os.environ, "ONEDNN_MAX_CPU_ISA": self.isa, "OMP_NUM_THREADS": str(self.threads)}
        if self.isa in CAPABILITY:
            told["ATEN_CPU_CAPABILITY"] = CAPABILITY[self.isa]
        return told

    @contextmanager
    def parsing(self) -> Iterator[None]:
        """Around what is computed to parse: pictures are float32 work everywhere."""
        import torch

        usual = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64 if self.arithmetic == "float64" else usual)
        try:
            yield
        finally:
            torch.set_default_dtype(usual)

    def model(self, weights: Path | None) -> "Model":
        """Weights, ready to be used as this says."""
        import torch

        from dvc_codec.codec.model import load_model

        torch.set_num_threads(self.threads)
        model = load_model(weights, fast=self.arithmetic == "bfloat16")
        if self.arithmetic == "float64":
            for prior in model.codec.priors():
                prior.double()
        torch.backends.mkldnn.enabled = self.arithmetic != "no oneDNN"  # type: ignore[assignment]
        return model


COMBINATIONS = tuple(
    Combination(isa, threads, arithmetic)
    for isa in ISAS
    for threads in (1, 2)
    for arithmetic in ("float32", "bfloat16")
)
BESIDE = (
    Combination("DEFAULT", 1, "float64"),
    Combination("DEFAULT", 1, "no oneDNN"),
    Combination("DEFAULT", 2, "no oneDNN"),
)
FEW = (
    Combination("SSE41", 1, "float32"),
    Combination("AVX2", 2, "float32"),
    Combination("DEFAULT", 1, "bfloat16"),
)


@dataclass(frozen=True)
class Found:
    """What a combination made of a file: a hash of all symbols, PSNR of every frame, how many
    pictures are the encoder's.
    """

    combination: str
    file: str  # beginning of its SHA-256
    symbols: str
    psnr: Sequence[float]
    exact: int


@dataclass(frozen=True)
class Coded:
    """A video's file, and the PSNR of every frame of the encoder's reconstruction."""

    name: str
    source: str
    file: str
    psnr: Sequence[float]


def look(path: Path, source: str, model: "Model", combination: Combination) -> Found:
    """Parse and decode a file as ``combination`` does."""
    from dvc_codec.codec.frame_decoder import FrameDecoder, FrameParser
    from dvc_codec.codec.frame_encoder import squared_error, weighted_psnr
    from dvc_codec.codec.order import DisplayOrder
    from dvc_codec.codec.pictures import hash_of
    from dvc_codec.container import Reader, places
    from dvc_codec.video import Picture, open_video

    symbols, psnr, exact = hashlib.sha256(), [], 0
    with Reader(path) as reader, open_video(source) as video:
        parser, decoder = FrameParser(model, reader.header), FrameDecoder(model, reader.header)
        originals = iter(video)
        for number in range(len(reader.index)):
            gop = reader.read_gop(number)
            shown: DisplayOrder[Picture] = DisplayOrder()
            for record, place in zip(gop.frames, places(gop), strict=True):
                with combination.parsing():
                    parsed = parser.parse(record, place)
                for name, plane in parsed.symbols.items():
                    symbols.update(name.encode() + plane.int().numpy().tobytes())
                floats = {name: plane.float() for name, plane in parsed.symbols.items()}
                picture = decoder.decode(type(parsed)(record, place, parsed.still, floats))
                exact += hash_of(picture) == record.picture_hash
                for ready in shown.add(place, picture):
                    psnr.append(weighted_psnr(squared_error(next(originals).picture, ready)))
    return Found(str(combination), digest(path), symbols.hexdigest(), psnr, exact)


def digest(path: Path) -> str:
    """The beginning of a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


class Matrix:
    """Videos times combinations, kept in a folder so that nothing is done twice."""

    def __init__(self, folder: Path, weights: Path | None) -> None:
        self.folder, self.weights = folder, weights
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "found.jsonl"
        self.found: dict[tuple[str, str], Found] = {}
        for line in self._log.read_text().splitlines() if self._log.exists() else ():
            with suppress(json.JSONDecodeError):  # half a line: that run was stopped
                self._add(Found(**json.loads(line)))

    def _add(self, found: Found) -> None:
        self.found[found.combination, found.file] = found

    def code(self, video: Path, name: str, lagrangian: float, frames: int) -> Coded:
        """The file of ``video`` as one group, by one thread of this machine."""
        import torch

        from dvc_codec.codec.encoder import encode_file
        from dvc_codec.codec.model import load_model

        torch.set_num_threads(1)
        model = load_model(self.weights)
        target, note = self.folder / f"{name}.dvc", self.folder / f"{name}.json"
        source = str(video.resolve())
        settings = [source, lagrangian, frames, model.sha256.hex()]
        known = json.loads(note.read_text()) if note.exists() and target.exists() else {}
        if known.get("settings") != settings:
            made = encode_file(
                video,
                target,
                lagrangian=lagrangian,
                frames=frames,
                gop=frames,
                scene_cuts=False,
                model=model,
            )
            known = {"settings": settings, "psnr": made.frame_psnr}
            note.write_text(json.dumps(known))
        return Coded(name, source, digest(target), known["psnr"])

    def run(self, combination: Combination, files: Sequence[Coded]) -> None:
        """Decode what this combination has not decoded yet."""
        missing = [coded for coded in files if (str(combination), coded.file) not in self.found]
        if not missing:
            return
        words = [sys.executable, __file__, "--look", json.dumps(asdict(combination))]
        words += ["--model", str(self.weights or "")]
        words += [word for c in missing for word in (str(self.folder / f"{c.name}.dvc"), c.source)]
        with subprocess.Popen(
            words, env=combination.environment(), stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                self._add(Found(**json.loads(line)))
                with self._log.open("a") as log:
                    log.write(line)
        if process.returncode:
            raise SystemExit(f"{combination}: the decoding process ended with {process.returncode}")

    def of(self, combination: Combination, coded: Coded) -> Found:
        return self.found[str(combination), coded.file]


def drifts(found: Found, coded: Coded) -> list[float]:
    """dB against the encoder's reconstruction, of every frame."""
    return [here - there for here, there in zip(found.psnr, coded.psnr, strict=True)]


def mean(values: Sequence[float]) -> float:
    """Of one or more."""
    return sum(values) / len(values)


def parsing(matrix: Matrix, combinations: Sequence[Combination], files: Sequence[Coded]) -> None:
    """The first table."""
    print(f"| instructions | threads | arithmetic | {' | '.join(c.name for c in files)} |")
    print("|---|---|---|" + "---|" * len(files))
    reference, different, worst = combinations[-1], 0, 0.0
    matrix.run(reference, files)
    for combination in combinations:
        matrix.run(combination, files)
        cells = []
        for coded in files:
            found = matrix.of(combination, coded)
            same = found.symbols == matrix.of(reference, coded).symbols
            different += not same
            drift = mean(drifts(found, coded))
            worst = max(worst, abs(drift))
            exact = found.exact == len(found.psnr)
            cells.append(f"{'=' if same else 'DIFFERENT'} {'exact' if exact else f'{drift:+.4f}'}")
        print(f"| {combination} | {' | '.join(cells)} |", flush=True)
    print(
        f"{len(combinations)} combinations, {len(files)} files: {different} parsing differences, "
        f"mean PSNR at most {worst:.4f} dB from the encoder's"
    )


def drifting(matrix: Matrix, combinations: Sequence[Combination], coded: Coded) -> None:
    """The second table."""
    lengths = [length for length in LENGTHS if length <= len(coded.psnr)]
    print(f"\n{coded.name}, dB over the first frames of one group:\n")
    print(f"| instructions | threads | arithmetic |{''.join(f' {n} |' for n in lengths)} worst |")
    print("|---|---|---|" + "---|" * (len(lengths) + 1))
    most = 0.0
    for combination in combinations:
        if combination.threads > 1:
            continue
        matrix.run(combination, [coded])
        all_of = drifts(matrix.of(combination, coded), coded)
        means = [mean(all_of[:length]) for length in lengths]
        most = max(most, *(abs(m) for m, n in zip(means, lengths, strict=True) if n <= 32))
        cells = [f"{value:+.4f}" for value in (*means, min(all_of, key=lambda d: -abs(d)))]
        print(f"| {combination} | {' | '.join(cells)} |", flush=True)
    verdict = "below" if most < MOST_DRIFT else "ABOVE"
    print(f"up to 32 frames at most {most:.4f} dB: {verdict} {MOST_DRIFT} dB")


def main() -> None:
    """Code, decode everywhere, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--lambda", dest="lagrangian", type=float, default=512)
    parser.add_argument("--drift", type=Path, help="a video for groups of 12, 32 and 96 frames")
    parser.add_argument("--out", type=Path, help="a folder to go on from")
    parser.add_argument("--few", action="store_true", help="three combinations, not all")
    parser.add_argument("--model", default="", help="weights other than the shipped ones")
    parser.add_argument("--look", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    weights = Path(arguments.model) if arguments.model else None
    if arguments.look:
        combination = Combination(**json.loads(arguments.look))
        model, words = combination.model(weights), [str(word) for word in arguments.videos]
        for path, source in zip(words[::2], words[1::2], strict=True):
            found: dict[str, Any] = asdict(look(Path(path), source, model, combination))
            print(json.dumps(found), flush=True)
        return
    combinations = FEW if arguments.few else (*BESIDE, *COMBINATIONS)
    with tempfile.TemporaryDirectory() as name:
        matrix = Matrix(arguments.out or Path(name), weights)
        weight, frames = arguments.lagrangian, arguments.frames
        if arguments.videos:
            files = [matrix.code(video, video.stem, weight, frames) for video in arguments.videos]
            parsing(matrix, combinations, files)
        if arguments.drift:
            video = arguments.drift
            coded = matrix.code(video, f"{video.stem}-{LENGTHS[-1]}", weight, LENGTHS[-1])
            drifting(matrix, combinations, coded)


if __name__ == "__main__":
    main()
