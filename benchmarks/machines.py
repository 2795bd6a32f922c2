"""One file on many machines: does it parse to the same symbols, and how far do pictures drift?

    python benchmarks/machines.py VIDEO... [--frames 12] [--gop 12] [--lambda 512] [--few]

Each VIDEO is coded once, here; then decoded in processes that are told to use other instructions,
another number of threads, another precision. A row for each of these, a column for each video:
"=" where every symbol is the same, then how many dB the weighted PSNR against the source differs
from the encoder's reconstruction (0 where the pictures are bit-exact).
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ISAS = ("SSE41", "AVX2", "AVX512_CORE", "DEFAULT")
CAPABILITY = {"SSE41": "default", "AVX2": "avx2"}
COMBINATIONS = [
    (isa, threads, precision)
    for isa in ISAS
    for threads in (1, 2)
    for precision in ("float32", "bfloat16")
]
FEW = [("SSE41", 1, "float32"), ("AVX2", 2, "float32"), ("DEFAULT", 1, "bfloat16")]


def look(folder: Path, threads: int, precision: str) -> dict[str, tuple[str, float]]:
    """In a process of its own: {name: (hash of all symbols, mean weighted PSNR)}."""
    import numpy as np
    import torch

    from dvc_codec.codec.decoder import FrameDecoder, FrameParser
    from dvc_codec.codec.encoder import squared_error, weighted_psnr
    from dvc_codec.codec.model import load_model
    from dvc_codec.container import Reader
    from dvc_codec.video import open_video

    torch.set_num_threads(threads)
    model = load_model(fast=precision == "bfloat16")
    found = {}
    for path in sorted(folder.glob("*.dvc")):
        symbols, psnr = hashlib.sha256(), []
        with Reader(path) as reader, open_video((folder / path.stem).read_text()) as source:
            parser, decoder = FrameParser(model, reader.header), FrameDecoder(model, reader.header)
            originals = iter(source)
            for number in range(len(reader.index)):
                for record in reader.read_gop(number).frames:
                    parsed = parser.parse(record)
                    for plane in parsed.symbols.values():
                        symbols.update(plane.int().numpy().tobytes())
                    picture = decoder.decode(parsed)
                    psnr.append(weighted_psnr(squared_error(next(originals).picture, picture)))
        found[path.stem] = symbols.hexdigest(), float(np.mean(psnr))
    return found


def main() -> None:
    """Code, decode everywhere, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--gop", type=int, default=12)
    parser.add_argument("--lambda", dest="lagrangian", type=float, default=512)
    parser.add_argument("--few", action="store_true", help="three combinations, not sixteen")
    parser.add_argument("--look", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.look:
        folder, threads, precision = arguments.look
        print(json.dumps(look(Path(folder), int(threads), precision)))
        return
    import torch

    from dvc_codec.codec.encoder import encode_file

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        expected = {}
        for video in arguments.videos:
            made = encode_file(
                video,
                Path(name) / f"{video.stem}.dvc",
                lagrangian=arguments.lagrangian,
                frames=arguments.frames,
                gop=arguments.gop,
                scene_cuts=False,
            )
            (Path(name) / video.stem).write_text(str(video.resolve()))
            expected[video.stem] = made.psnr
        here = look(Path(name), 1, "float32")
        print(f"| instructions | threads | precision | {' | '.join(sorted(expected))} |")
        print("|---|---|---|" + "---|" * len(expected))
        different = 0
        for isa, threads, precision in FEW if arguments.few else COMBINATIONS:
            environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": isa}
            if isa in CAPABILITY:
                environment["ATEN_CPU_CAPABILITY"] = CAPABILITY[isa]
            words = [sys.executable, __file__, "--look", name, str(threads), precision]
            done = subprocess.run(
                words, env=environment, capture_output=True, text=True, check=True
            )
            found = json.loads(done.stdout)
            cells = []
            for stem in sorted(expected):
                same = found[stem][0] == here[stem][0]
                different += not same
                drift = found[stem][1] - expected[stem]
                cells.append(f"{'=' if same else 'DIFFERENT'} {drift:+.4f}")
            print(f"| {isa} | {threads} | {precision} | {' | '.join(cells)} |", flush=True)
        print(f"{different} parsing differences")


if __name__ == "__main__":
    main()
