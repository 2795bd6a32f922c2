"""Speed and memory: the machine's own rate first, then whole processes, then the stages of a frame.

    python benchmarks/speed.py                          # 832x480 and the memory of 1920x1080
    python benchmarks/speed.py --quick                  # 832x480 only, few frames
    python benchmarks/speed.py --long --json out.json   # memory over 300 frames as well

Whole processes: start of Python, file reading and writing and entropy coding are in the numbers.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

import av
import numpy as np
import torch
from machine import Rate, convolution_rates, describe
from stages import Stages, measure

from dvc_codec.codec.model import load_model
from dvc_codec.video import Picture, VideoInfo, open_video, open_writer

SMALL, LARGE = (832, 480), (1920, 1080)


@dataclass(frozen=True)
class Process:
    """A whole process. ``frames_per_second`` is by the clock outside it; ``coding`` by its own."""

    command: str
    size: str
    frames: int
    frames_per_second: float
    coding_frames_per_second: float
    peak_megabytes: float


def main() -> None:
    """Measure, print, and write JSON if asked."""
    given = arguments()
    if given.threads:
        torch.set_num_threads(given.threads)
    machine = describe()
    for name, value in machine.items():
        print(f"{name:<14} {value}")
    rates = convolution_rates(*SMALL)
    print_rates(rates)
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        source = given.source or made_video(folder, SMALL, given.frames)
        processes = there_and_back(folder, source, SMALL, given.frames, given)
        stages = measure(
            load_model(given.model), source, folder / "coded.dvc", given.lagrangian, given.frames
        )
        print_stages(stages, rates, bool(machine["fast_bfloat16"]))
        for frames in () if given.quick else (30, 300) if given.long else (30,):
            large = made_video(folder, LARGE, frames)
            processes += there_and_back(folder, large, LARGE, frames, given)
            large.unlink()
    if given.json:
        result = {
            "machine": machine,
            "convolutions": [asdict(rate) for rate in rates],
            "processes": [asdict(process) for process in processes],
            "stages": asdict(stages),
        }
        given.json.write_text(json.dumps(result, indent=2))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", type=Path, help="an 832x480 video; default: the sample, scaled")
    parser.add_argument("--frames", type=int, default=60, help="at 832x480 (default: 60)")
    parser.add_argument("--lambda", dest="lagrangian", type=float, default=1024.0)
    parser.add_argument("--threads", type=int, help="default: torch's, all cores")
    parser.add_argument("--model", type=Path, help="weights; default: the shipped ones")
    parser.add_argument("--quick", action="store_true", help="leave out 1920x1080")
    parser.add_argument("--long", action="store_true", help="1920x1080 over 300 frames as well")
    parser.add_argument("--folder", type=Path, help="where temporary files go")
    parser.add_argument("--json", type=Path, help="write everything there")
    return parser.parse_args()


def made_video(folder: Path, size: tuple[int, int], frames: int) -> Path:
    """The sample clip scaled to ``size``, played to and fro until there are ``frames`` of it."""
    sample = Path(str(files("dvc_codec"))) / "sample" / "flower.mp4"
    with open_video(sample) as reader:
        info = reader.info
    with av.open(str(sample)) as opened:
        small = list(opened.decode(video=0))
    target = folder / f"{size[0]}x{size[1]}.mp4"
    made = VideoInfo(*size, info.frame_rate, info.time_base, colour=info.colour)
    period = 2 * len(small) - 2
    with open_writer(target, made) as writer:
        for number in range(frames):
            at = number % period
            scaled = small[min(at, period - at)].reformat(*size, interpolation="BICUBIC")
            planes = (
                np.frombuffer(memoryview(plane), np.uint8)
                .reshape(-1, plane.line_size)[: plane.height, : plane.width]
                .copy()
                for plane in scaled.planes
            )
            writer.write(Picture(*planes), number * made.frame_ticks)
    return target


def there_and_back(
    folder: Path, source: Path, size: tuple[int, int], frames: int, given: argparse.Namespace
) -> list[Process]:
    """Encode and decode, each as a process, and print both."""
    coded, shown = folder / "coded.dvc", folder / "shown.y4m"
    more = ["--threads", str(torch.get_num_threads())]
    more += ["--model", str(given.model)] if given.model else []
    encode = ["encode", str(source), str(coded), "--frames", str(frames)]
    encode += ["--lambda", str(given.lagrangian), "--no-scene-cuts"]
    done = [run(size, [*encode, *more]), run(size, ["decode", str(coded), str(shown), *more])]
    shown.unlink()
    for process in done:
        print(
            f"{process.command:<7} {process.size:>9} {process.frames:4} frames  "
            f"{process.frames_per_second:6.2f} frames/s whole process, "
            f"{process.coding_frames_per_second:6.2f} without start-up, "
            f"{process.peak_megabytes:6.0f} MB at most"
        )
    return done


def run(size: tuple[int, int], words: list[str]) -> Process:
    """One process, by the clock and by what the system says of it."""
    command = [sys.executable, "-m", "dvc_codec.cli.main", *words, "--json"]
    begun = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begun
    if status:
        sys.exit(f"{' '.join(command)} failed with {os.waitstatus_to_exitcode(status)}")
    result = json.loads(said)
    frames = result["frames"]
    # Linux counts in kilobytes, macOS in bytes
    peak = usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    own = result["frames_per_second"]
    return Process(words[0], f"{size[0]}x{size[1]}", frames, frames / seconds, own, peak)


def print_rates(rates: list[Rate]) -> None:
    """The yardstick."""
    print("\n3x3 convolutions, GMAC/s                  float32  bfloat16")
    for rate in rates:
        print(f"  {rate.shape:<36} {rate.float32:10.0f} {rate.bfloat16:9.0f}")
    print()


def print_stages(stages: Stages, rates: list[Rate], fast: bool) -> None:
    """Milliseconds of a P frame, and how well the decoder uses the machine."""
    print(f"\nmilliseconds of a P frame at {SMALL[0]}x{SMALL[1]}     encode   decode")
    for name in [*stages.encode, *(name for name in stages.decode if name not in stages.encode)]:
        both = (stages.encode.get(name), stages.decode.get(name))
        columns = "".join(f"{'' if one is None else f'{one:.1f}':>9}" for one in both)
        print(f"  {name:<32} {columns}")
    totals = (sum(stages.encode.values()), sum(stages.decode.values()))
    print(f"  {'sum':<32} {totals[0]:9.1f}{totals[1]:9.1f}")
    best = max(rate.bfloat16 if fast else rate.float32 for rate in rates)
    print(
        f"\ndecoder's networks: {stages.decoder_macs_per_pixel / 1000:.1f} kMAC per padded pixel, "
        f"{stages.decoder_giga_macs_per_second:.0f} GMAC/s, "
        f"{stages.decoder_giga_macs_per_second / best:.0%} of the best rate above\n"
    )


if __name__ == "__main__":
    main()
