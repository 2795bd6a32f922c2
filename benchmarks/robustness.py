"""How a decoder takes files that are damaged by accident or on purpose, in figures.

    python benchmarks/robustness.py [--mutated 2000] [--kills 20] [--only WORD] [--model FILE]

mutated     files with flipped bits, cut, spliced, with other numbers in them; in half of them the
            CRCs are made right again, so that what is behind them is reached. Counted: crashes
            (anything that is no documented error), hangs (over 5 s), memory beside a valid decode.
cut         every cut of a file: whole frames before it must come out bit-exact.
groups      each group damaged once: the others come out bit-exact.
flips       every bit flipped: each must be found by `verify --bytes-only`.
kills       SIGKILL at random moments of an encode: the final name is never partial, NAME.part
            decodes, and --resume makes the uninterrupted file of it.
claims      headers that claim monstrous sizes and counts: refused, how fast, with how much memory.
"""

import argparse
import json
import multiprocessing
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from dvc_codec.codec.decoder import Decoder
from dvc_codec.codec.encoder import encode_file
from dvc_codec.codec.model import Model, load_model
from dvc_codec.codec.verify import check_bytes
from dvc_codec.container import FrameRecord, Reader
from dvc_codec.container.chunks import CHUNK_HEAD, SYNC, checksum
from dvc_codec.container.header import PREFIX, body_length, header_bytes, parse_header
from dvc_codec.errors import DamagedFile, DvcError
from dvc_codec.video import Picture, VideoInfo, open_writer

SIZE, SMALL_SIZE, FRAMES, GOP = (64, 48), (16, 16), 12, 4
BATCH = 1000  # mutated files in one process
SHORT = 0.9  # of the mutated files are of a file of one group and two frames: ten times as many
SLOW = 5.0  # seconds of the processor that count as a hang; so does ten times as long of waiting


class Hang(BaseException):
    """Raised by the alarm; no `except Exception` catches it."""


def make_example(
    folder: Path,
    model: Model,
    frames: int = FRAMES,
    gop: int = GOP,
    name: str = "v",
    size: tuple[int, int] = SIZE,
) -> Path:
    """A small valid file; its source is in.y4m beside it."""
    w, h = size
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    source = folder / "in.y4m"
    with open_writer(source, VideoInfo(w, h, Fraction(25), Fraction(1, 25))) as writer:
        for t in range(frames):
            luma = 128 + 60 * np.sin((x - 1.7 * t) / 5 + y / 9) + 20 * np.sin(x * y / 90 + t)
            u = np.full((h // 2, w // 2), 120 + t, np.uint8)
            writer.write(Picture(luma.astype(np.uint8), u, u), t)
    target = folder / f"{name}.dvc"
    encode_file(source, target, lagrangian=1024, gop=gop, scene_cuts=False, model=model)
    return target


def mutate(data: bytes, rng: random.Random) -> bytes:
    """A damaged copy."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        kind, at = rng.randrange(6), rng.randrange(len(out))
        if kind == 0:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif kind == 2:
            out[at : at + rng.choice((1, 2, 4, 8))] = rng.choice(
                (b"\xff" * 4, b"\0" * 4, b"\xff" * 9 + b"\1", b"\x80\x80\x80\x80\x01")
            )
        elif kind == 3:
            del out[at : at + rng.randrange(1, 40)]
        elif kind == 4:
            from_ = rng.randrange(len(out))
            out[at:at] = out[from_ : from_ + rng.randrange(1, 200)]
        else:
            del out[max(1, at) :]
        if len(out) < 2:
            break
    return repaired(bytes(out)) if rng.random() < 0.5 else bytes(out)


def repaired(data: bytes) -> bytes:
    """With right CRCs wherever header and chunks can still be found."""
    out = bytearray(data)
    try:
        end = PREFIX + body_length(data[:PREFIX], "")
        out[end : end + 4] = zlib.crc32(out[:end]).to_bytes(4, "little")
    except DvcError:
        pass
    at = out.find(SYNC)
    while 0 <= at <= len(out) - CHUNK_HEAD:
        head = bytes(out[at + 7 : at + 12])
        length = int.from_bytes(head[1:], "little")
        left = len(out) - at - CHUNK_HEAD
        if length > left:  # let it reach to the next chunk
            following = out.find(SYNC, at + 1)
            length = max(0, (following if following > 0 else len(out)) - at - CHUNK_HEAD)
            out[at + 8 : at + 12] = length.to_bytes(4, "little")
            head = bytes(out[at + 7 : at + 12])
        body = bytes(out[at + CHUNK_HEAD : at + CHUNK_HEAD + length])
        out[at + 12 : at + 16] = checksum(head, body).to_bytes(4, "little")
        at = out.find(SYNC, at + 1)
    return bytes(out)


def batch(folder: Path, weights: str, seed: int, count: int) -> None:
    """In a process of its own: decode mutated files and print what came of them."""
    import torch

    torch.set_num_threads(1)
    model = load_model(Path(weights) if weights else None)
    good, short = ((folder / name).read_bytes() for name in ("v.dvc", "short.dvc"))
    timers = ((signal.ITIMER_PROF, SLOW), (signal.ITIMER_REAL, 10 * SLOW))
    for signal_number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(signal_number, _alarm)
    file = folder / f"mutated-{seed}.dvc"

    def decode() -> None:
        with Decoder(file, model) as decoder, closing(decoder.shown()) as shown:
            for number, _ in enumerate(shown):
                if number > 5000:
                    raise Hang

    file.write_bytes(good)
    decode()
    valid = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    counts: Counter[str] = Counter()
    slowest = 0.0
    for number in range(count):
        rng = random.Random(seed * 10**6 + number)
        data = mutate(short if rng.random() < SHORT else good, rng)
        file.write_bytes(data)
        begun = time.process_time()
        for timer, seconds in timers:
            signal.setitimer(timer, seconds)
        try:
            decode()
            counts["decoded"] += 1
        except DvcError as error:
            counts[type(error).__name__] += 1
        except Hang:
            counts["HANG"] += 1
            (folder / f"hang-{seed}-{number}.dvc").write_bytes(data)
        except Exception as error:
            counts[f"CRASH {type(error).__name__}: {str(error)[:90]}"] += 1
            (folder / f"crash-{seed}-{number}.dvc").write_bytes(data)
        finally:
            for timer, _ in timers:
                signal.setitimer(timer, 0)
        slowest = max(slowest, time.process_time() - begun)
    file.unlink()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    memory = round(most / valid, 4)
    print(json.dumps({"seed": seed, "counts": counts, "slowest": slowest, "memory": memory}))


def _alarm(number: int, frame: FrameType | None) -> None:
    raise Hang


def mutated(folder: Path, weights: str, count: int, log: Path) -> None:
    """Print what came of ``count`` mutated files; what ``log`` has already is not run again."""
    done = {found["seed"]: found for found in map(json.loads, lines_of(log))}
    for seed in range(-(-count // BATCH)):
        if seed not in done:
            done[seed] = found = run_batch(folder, weights, seed)
            with log.open("a") as file:
                file.write(json.dumps(found) + "\n")
    counts: Counter[str] = Counter()
    for found in done.values():
        counts.update(found["counts"])
    slowest = max(found["slowest"] for found in done.values())
    most = max(found["memory"] for found in done.values())
    print(
        f"mutated: {sum(counts.values())} files, slowest {slowest:.2f} s, memory {most:.2f} times"
    )
    for name, number in counts.most_common():
        print(f"  {number:6} {name}")


def lines_of(log: Path) -> list[str]:
    """Whole lines only: a run that was killed may have left half a line."""
    text = log.read_text() if log.exists() else ""
    return text.splitlines() if text.endswith("\n") else text.splitlines()[:-1]


def run_batch(folder: Path, weights: str, seed: int) -> dict[str, Any]:
    """What came of the mutated files of ``seed``."""
    words = [sys.executable, __file__, "--batch", str(folder), weights, str(seed), str(BATCH)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=BATCH, check=False)
    except subprocess.TimeoutExpired:  # stuck where no alarm reaches it
        return {"seed": seed, "counts": {"PROCESS HUNG": 1}, "slowest": BATCH, "memory": 0}
    if done.returncode:
        said = f"PROCESS DIED {done.returncode}: {done.stderr[-200:]}"
        return {"seed": seed, "counts": {said: 1}, "slowest": 0, "memory": 0}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def cuts(folder: Path, model: Model, step: int) -> None:
    """Cut at every byte: what stands in whole frames is read; every ``step``-th cut, and those
    around the end of a frame, are decoded from the group before the last whole frame on.
    """
    path = make_example(folder, model, 64, size=SMALL_SIZE)
    data, short = path.read_bytes(), folder / "cut.dvc"
    expected = records_of(path)
    ends = frame_ends(path)
    decoded_too = {end + beside for end in ends for beside in (-1, 0)}
    wrong = decoded = refused = 0
    for length in range(len(data)):
        short.write_bytes(data[:length])
        whole = sum(end <= length for end in ends)
        if not whole:
            try:
                Decoder(short, model).close()
                wrong += 1
            except DamagedFile:
                refused += 1
            continue
        wrong += records_of(short)[:whole] != expected[:whole]
        if length % step and length not in decoded_too:
            continue
        decoded += 1
        first = max(0, whole - 1 - (whole - 1) % GOP - GOP)
        with Decoder(short, model) as decoder:
            exact = [exact for _, exact in decoder.frames(first)]
        there = {
            number if frame.display_index is None else frame.display_index
            for number, frame in enumerate(expected[:whole])
        }
        wrong += exact != [number in there for number in range(first, max(there) + 1)]
    print(
        f"cut: {len(data)} cuts of a file of 64 frames, {refused} before the end of the first, "
        f"{decoded} decoded, {wrong} lost or spoilt a whole frame"
    )


def records_of(path: Path) -> list[FrameRecord]:
    """All frames that can be read, those of a cut group included."""
    with Reader(path) as reader:
        gops = [reader.read_gop(number) for number in range(len(reader.index))]
        cut = reader.read_cut_gop()
        return [frame for gop in (*gops, *([cut] if cut else ())) for frame in gop.frames]


def groups(path: Path, model: Model) -> None:
    """A flipped byte in each group."""
    data, changed = path.read_bytes(), path.with_name("group.dvc")
    with Reader(path) as reader:
        offsets = [entry.offset for entry in reader.index]
    wrong = 0
    for number, offset in enumerate(offsets):
        out = bytearray(data)
        out[offset + CHUNK_HEAD + 40] ^= 0xFF
        changed.write_bytes(out)
        with Decoder(changed, model) as decoder, closing(decoder.shown()) as shown:
            exact = [found.exact for found in shown]
        wrong += exact != [at // GOP != number for at in range(FRAMES)]
    print(f"groups: {len(offsets)} of {len(offsets)} damaged one by one, {wrong} cost more than it")


def frame_ends(path: Path) -> list[int]:
    """Byte offsets after which each frame is whole."""
    ends = []
    data = path.read_bytes()
    with Reader(path) as reader:
        for number, entry in enumerate(reader.index):
            at = entry.offset
            for frame in reader.read_gop(number).frames:
                for payload in frame.payloads:
                    at = data.index(payload, at) + len(payload)
                ends.append(at)
    return ends


def flips(path: Path) -> None:
    """Every bit of every byte."""
    data, changed = path.read_bytes(), path.with_name("flipped.dvc")
    missed = 0
    for bit in range(8 * len(data)):
        out = bytearray(data)
        out[bit // 8] ^= 1 << bit % 8
        changed.write_bytes(out)
        with suppress(DvcError):
            missed += check_bytes(changed).sound
    print(f"flips: {8 * len(data)} flipped bits, {missed} not found")


def kills(folder: Path, model: Model, count: int) -> None:
    """SIGKILL at random moments of what `encode --resume` does."""
    import torch

    torch.set_num_threads(1)  # no pool of threads that a child would miss
    make_example(folder, model, size=SMALL_SIZE)
    source, target = folder / "in.y4m", folder / "k.dvc"
    part = folder / "k.dvc.part"
    processes = multiprocessing.get_context("fork")  # need not import torch and load weights
    rng = random.Random(3)

    def encode(goal: Path) -> None:
        encode_file(source, goal, gop=2, intra="hevc", scene_cuts=False, resume=True, model=model)

    def run(goal: Path, moment: float | None = None) -> float:
        """Encode, for so many seconds at most. -> seconds it took."""
        process = processes.Process(target=encode, args=(goal,))
        process.start()
        begun = time.monotonic()
        process.join(moment)
        process.kill()
        process.join()
        assert moment is not None or process.exitcode == 0
        return time.monotonic() - begun

    run(folder / "first.dvc")
    length = run(folder / "whole.dvc")
    expected = (folder / "whole.dvc").read_bytes()
    with_part = partial = undecodable = different = finished = 0
    for number in range(1, count + 1):
        target.unlink(missing_ok=True)
        part.unlink(missing_ok=True)
        run(target, rng.uniform(0, length))
        finished += target.exists()
        partial += target.exists() and target.read_bytes() != expected
        if part.exists() and records_or_none(part):
            with_part += 1
            try:
                with Decoder(part, model) as decoder:
                    undecodable += not all(exact for _, exact in decoder.frames())
            except DvcError as error:
                undecodable += 1
                print("  ", error)
        run(target)
        different += target.read_bytes() != expected
        if number % 20 == 0 or number == count:  # what is done counts, should it be stopped
            print(
                f"kills: {number}, {finished} too late, {with_part} with a part that has frames; "
                f"final name partial {partial}, part not decodable {undecodable}, resumed file "
                f"different {different}",
                flush=True,
            )


def records_or_none(part: Path) -> list[FrameRecord]:
    """Frames of a file that may not even have its header."""
    try:
        return records_of(part)
    except DvcError:
        return []


def claims(path: Path, weights: str) -> None:
    """Headers and chunks that claim too much."""
    data = path.read_bytes()
    end = PREFIX + body_length(data[:PREFIX], "") + 4
    header = parse_header(data[:end], "")
    w = b"\xff\xff\x03"  # 65535 as a varint
    body = bytearray(data[PREFIX : end - 4])
    at = 32 + 1 + len(header.model_name.encode())
    huge = repaired(
        data[:PREFIX] + bytes(body[:at]) + w + w + bytes(body[at + 2 :]) + data[end - 4 :]
    )
    first = data.find(SYNC)
    cases: dict[str, bytes] = {
        "65535x65535": huge,
        "16384x16384": header_bytes(replace(header, width=16384, height=16384)) + data[end:],
        "2^32 frames in a GOP": _with_count(data, first, b"\x80\x80\x80\x80\x10"),
        "2^40 frames in the index": _with_index(data, b"\x80\x80\x80\x80\x80\x20"),
        "4 GB chunk": data[: first + 8] + b"\xff\xff\xff\xff" + data[first + 12 :],
        "4 GB header": data[:10] + b"\xff\xff\xff\xff" + data[14:],
    }
    program = (
        "import sys, time, resource\n"
        "from pathlib import Path\n"
        "from dvc_codec.codec.decoder import Decoder\n"
        "from dvc_codec.codec.model import load_model\n"
        "from dvc_codec.errors import DvcError\n"
        "model = load_model(Path(sys.argv[2])) if sys.argv[2] else None\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "begun = time.monotonic()\n"
        "try:\n"
        "    decoder = Decoder(Path(sys.argv[1]), model, strict=True)\n"
        "    said = f'OPENED {sum(1 for _ in decoder.frames())}'\n"
        "except DvcError as error: said = f'{type(error).__name__} {error.exit_code}'\n"
        "ms = 1000 * (time.monotonic() - begun)\n"
        "more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before\n"
        "print(f'{said}, {ms:.0f} ms, {more / 1024:.0f} MiB above import')\n"
    )
    for name, changed in cases.items():
        target = path.with_name("claim.dvc")
        target.write_bytes(changed)
        words = [sys.executable, "-c", program, str(target), weights]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        print(f"claims: {name}: {done.stdout.strip() or done.stderr[-300:]}")


def _with_count(data: bytes, at: int, count: bytes) -> bytes:
    body = data[at + CHUNK_HEAD :]
    return repaired(data[: at + CHUNK_HEAD] + body[:1] + count + body[2:])


def _with_index(data: bytes, count: bytes) -> bytes:
    at = data.rfind(SYNC)
    body = data[at + CHUNK_HEAD : -20]
    body = body[:1] + count + body[2:]
    head = b"i" + len(body).to_bytes(4, "little")
    made = SYNC + head + checksum(head, body).to_bytes(4, "little") + body
    return data[:at] + made + data[-20:]


def main() -> None:
    """Everything, or what --only asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutated", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--step", type=int, default=61, help="bytes between cuts that are decoded")
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", type=Path, help="a folder for the files that did harm")
    parser.add_argument("--log", type=Path, help="batches of mutated files done, to go on from")
    parser.add_argument("--model", default="", help="weights other than the shipped ones")
    parser.add_argument("--batch", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.batch:
        name, weights, seed, count = arguments.batch
        batch(Path(name), weights, int(seed), int(count))
        return
    weights = arguments.model
    model = load_model(Path(weights) if weights else None)
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        log = arguments.log or folder / "log.jsonl"

        def mutate_both() -> None:
            make_example(folder, model)
            make_example(folder, model, 2, 2, "short")
            mutated(folder, weights, arguments.mutated, log)

        jobs: dict[str, Callable[[], None]] = {
            "claims": lambda: claims(make_example(folder, model), weights),
            "groups": lambda: groups(make_example(folder, model), model),
            "flips": lambda: flips(make_example(folder, model)),
            "mutated": mutate_both,
            "kills": lambda: kills(folder, model, arguments.kills),
            "cut": lambda: cuts(folder, model, arguments.step),
        }
        for job, work in jobs.items():
            if arguments.only in job:
                begun = time.monotonic()
                work()
                print(f"  ({time.monotonic() - begun:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
