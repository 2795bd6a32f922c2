"""Samples a second of the data alone and of whole training steps, beside this machine's own
convolution rate.

    python benchmarks/training.py --data ../shared/data/train --clips 64
    python benchmarks/training.py --data ../shared/data/train --batch 8 --rollout 2 --size 192

A sample is one P frame of one sequence. "data" takes pictures, states and new I frames from the
pool and puts the states back; "pictures" only crops; a "step" codes, goes backward and learns.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from machine import convolution_rates, describe

from dvc_codec.codec.model import has_fast_bfloat16
from dvc_codec.codec.registry import build
from dvc_codec.networks.blocks import use_channels_last
from dvc_codec.training.clips import load_clips
from dvc_codec.training.crops import Window, crops
from dvc_codec.training.intra_frames import IntraBank, hevc_intra, load_bank
from dvc_codec.training.loss import rollout_loss
from dvc_codec.training.optimisation import adam, average, clip, leave_out, parameter_groups
from dvc_codec.training.replay import Draw, ReplayPool
from dvc_codec.training.tars import TarStream


def per_second(work: Callable[[], int], seconds: float, device: torch.device) -> float:
    """Samples that ``work`` (which says how many it did) does in a second, after two to warm up."""
    for _ in range(2):
        work()
    _wait(device)
    done, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        done += work()
    _wait(device)
    return done / (time.perf_counter() - begun)


def measure(given: argparse.Namespace, device: torch.device) -> dict[str, float]:
    """Samples a second of pictures, data and steps."""
    torch.manual_seed(1)
    codec = build(given.network, {}).to(device)
    codec.network.fast = given.fast
    use_channels_last(codec)
    ema = build(given.network, {}).to(device)
    clips = load_clips(given.data, given.clips)
    bank: IntraBank | None = None
    if given.bank:
        bank = load_bank(given.bank, clips.numbers).to(device)
    stream: TarStream | None = None
    room, slots = clips.pictures.to(device), max(given.slots, given.batch)
    if given.stream:
        stream = TarStream(given.data, (0,), 1, seed=1)
        room = torch.zeros((slots, *stream.shape), dtype=torch.uint8, device=device)
    pool = ReplayPool(
        room,
        slots=slots,
        size=given.size,
        start=codec.start,
        code_intra=hevc_intra,
        rollout=given.rollout,
        seed=1,
        draw=Draw(longest=given.longest),
        bank=bank,
        stream=stream,
    )
    groups = parameter_groups(codec, 1e-4)
    optimiser = adam(groups)
    trained = [p for group in groups for p in group["params"]]

    def data() -> int:
        taken = pool.take(given.batch)
        pool.put(taken, taken.state)
        return given.batch * given.rollout

    random = np.random.default_rng(1)
    every = clips.pictures.to(device).flatten(0, 1)
    spare = [(n - given.size) // 2 + 1 for n in (every.shape[1] * 2 // 3, every.shape[2])]

    def pictures() -> int:
        windows = [
            Window(
                *(2 * int(random.integers(n)) for n in spare),
                *(bool(random.integers(2)) for _ in range(3)),
            )
            for _ in range(given.batch)
        ]
        crops(every, random.integers(len(every), size=given.batch).tolist(), windows, given.size)
        return given.batch

    def step() -> int:
        taken = pool.take(given.batch)
        measured, state = rollout_loss(codec, taken.pictures, taken.state, taken.rates, 0.1)
        optimiser.zero_grad(set_to_none=True)
        measured.loss.backward()
        _, sound = clip(trained, 1.0)
        leave_out(optimiser, sound)
        optimiser.step()
        average(ema, codec, 0.999, sound)
        pool.put(taken, state, sound)
        return given.batch * given.rollout

    found = {}
    for name, work in (("pictures", pictures), ("data", data), ("step", step)):
        found[name] = per_second(work, given.seconds, device)
    return found


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bank", type=Path)
    parser.add_argument("--stream", action="store_true", help="clips from tars as steps go on")
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--network", default="dvc")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rollout", type=int, default=2)
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--slots", type=int, default=96)
    parser.add_argument("--longest", type=int, default=31)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--float32", dest="fast", action="store_false")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    given.fast = given.fast and (device.type == "cuda" or has_fast_bfloat16())
    found = measure(given, device)
    machine = describe()
    if device.type == "cuda":
        machine["gpu"] = torch.cuda.get_device_name()
    rates = [vars(r) for r in convolution_rates(given.size, given.size)]
    if given.json:
        print(json.dumps({"machine": machine, "convolutions": rates, "samples_per_second": found}))
        return
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    for rate in rates:
        print("{shape}: {float32:.0f} GMAC/s float32, {bfloat16:.0f} bfloat16".format(**rate))
    print(
        f"batch {given.batch}, {given.rollout} P frames each, {given.size}x{given.size}: "
        f"pictures {found['pictures']:.0f}, data {found['data']:.0f}, steps {found['step']:.1f} "
        f"samples/s; {given.batch * given.rollout / found['step']:.2f} s a step"
    )


if __name__ == "__main__":
    main()
