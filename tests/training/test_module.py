"""The trainer: it learns, stops, and goes on where it stopped."""

import csv
import itertools
import os
import signal
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.codec.pictures import to_planes
from dvc_codec.errors import CannotWrite, DvcError, OutOfRange
from dvc_codec.networks.dvc2019.config import Dvc2019Config
from dvc_codec.training import checkpoints
from dvc_codec.training import module as trainer
from dvc_codec.training.checkpoints import read_weights
from dvc_codec.training.command_line import DEFAULTS
from dvc_codec.training.keeper import Keeper
from dvc_codec.training.loss import Loss, rollout_loss
from dvc_codec.training.module import CodecTraining, Diverged
from dvc_codec.training.optimisation import parameter_groups
from tests.moving import panned_texture
from tests.training.run import checkpoint, small_data, train, write_data


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("clips"))


def same(a: Any, b: Any) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_the_loss_falls() -> None:
    torch.manual_seed(1)
    codec = PFrameCodec()
    pictures = [to_planes(p) for p in panned_texture(size=(64, 64), frames=2)]
    optimiser = torch.optim.AdamW(parameter_groups(codec, 1e-3), lr=1e-3, weight_decay=0.0)
    losses = []
    for _ in range(6):
        start = codec.start(pictures[0])
        measured, _ = rollout_loss(codec, pictures[1:], start, torch.tensor([50]), 0.1)
        optimiser.zero_grad()
        measured.loss.backward()
        optimiser.step()
        losses.append(float(measured.loss.detach()))
    assert losses[-1] < 0.97 * losses[0], losses


class Stop(pl.Callback):
    """Tells its own process to stop in step ``at``."""

    def __init__(self, at: int, number: int = signal.SIGTERM) -> None:
        self.at, self.number = at, number

    def on_train_batch_start(
        self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(module, CodecTraining)
        if module.steps_done + 1 == self.at:
            os.kill(os.getpid(), self.number)


def test_a_stopped_training_ends_with_the_weights_of_one_that_was_not(
    data: Path, tmp_path: Path
) -> None:
    """Weights, average, optimiser, sequences in progress and chance go on exactly."""
    options: dict[str, Any] = {"quantiser": "noise"}  # which draws random numbers
    train(small_data(data), tmp_path / "whole", 6, **options)
    keeper = Keeper()
    handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    train(small_data(data), tmp_path / "a", 6, keeper=keeper, callbacks=(Stop(3),), **options)
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == handlers
    assert keeper.signal == signal.SIGTERM
    assert checkpoint(tmp_path / "a")["step"] == 3
    keeper = Keeper()
    train(small_data(data), tmp_path / "a", 6, resume=True, keeper=keeper, **options)
    assert keeper.resumed == "with its pool and its state of chance"
    ours, theirs = checkpoint(tmp_path / "a"), checkpoint(tmp_path / "whole")
    assert ours["step"] == theirs["step"] == 6
    assert same(ours["state_dict"], theirs["state_dict"])
    assert len(list((tmp_path / "a").glob("pool-*.pt"))) == 1


def test_distances_take_turns_and_sequences_go_on(data: Path, tmp_path: Path) -> None:
    """Steps with and without B frames, stopped and resumed between them: as if never stopped."""
    options: dict[str, Any] = {"loss": Loss(distances=(2, 1))}
    settings: dict[str, Any] = {"rollout": 2}
    module = train(small_data(data, **settings), tmp_path / "whole", 4, **options)
    assert module.skipped == 0
    before = CodecTraining().codec
    changed = {
        part: any(
            not torch.equal(p, before.get_parameter(name))
            for name, p in module.codec.named_parameters()
            if name.startswith(part)
        )
        for part in ("network.compensation_between.", "prior_between.", "prior.")
    }
    assert all(changed.values()), changed
    stopped = {**options, "callbacks": (Stop(1),)}
    train(small_data(data, **settings), tmp_path / "a", 4, **stopped)
    assert checkpoint(tmp_path / "a")["step"] == 1
    train(small_data(data, **settings), tmp_path / "a", 4, resume=True, **options)
    ours, theirs = checkpoint(tmp_path / "a"), checkpoint(tmp_path / "whole")
    assert same(ours["state_dict"], theirs["state_dict"])


def test_without_its_pool_it_goes_on_too(data: Path, tmp_path: Path) -> None:
    train(small_data(data), tmp_path, 2, keeper=Keeper(keep_pool=False))
    keeper = Keeper(keep_pool=False)
    train(small_data(data), tmp_path, 3, resume=True, keeper=keeper)
    assert keeper.resumed.startswith("without its pool")
    assert checkpoint(tmp_path)["step"] == 3


def test_time_that_is_up_ends_with_a_checkpoint(data: Path, tmp_path: Path) -> None:
    train(small_data(data), tmp_path, 50, keeper=Keeper(max_time=0.0))
    assert checkpoint(tmp_path)["step"] == 1


def test_a_step_that_is_not_finite_is_left_out_and_counted(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, calls = trainer.rollout_loss, []

    def broken(*arguments: Any, **more: Any) -> Any:
        measured, state = original(*arguments, **more)
        calls.append(1)
        if len(calls) == 2:
            measured.loss = measured.loss * float("nan")
        return measured, state

    monkeypatch.setattr(trainer, "rollout_loss", broken)
    train(small_data(data), tmp_path, 4, log_every=4)
    kept = checkpoint(tmp_path)
    assert kept["skipped"] == 1
    assert all(bool(t.isfinite().all()) for t in kept["state_dict"].values())
    steps = {int(s["step"]) for s in kept["optimizer_states"][0]["state"].values()}
    assert steps == {3}


def test_many_such_steps_are_fatal(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = trainer.rollout_loss

    def broken(*arguments: Any, **more: Any) -> Any:
        measured, state = original(*arguments, **more)
        measured.loss = measured.loss * float("inf")
        return measured, state

    monkeypatch.setattr(trainer, "rollout_loss", broken)
    with pytest.raises(Diverged, match="2 of the last 2 steps were not finite"):
        train(small_data(data), tmp_path, 4)


def test_a_full_disk_leaves_the_last_checkpoint(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(small_data(data), tmp_path, 2)
    before = (tmp_path / "last.ckpt").read_bytes()

    def full(content: Any, file: Any) -> None:
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints.torch, "save", full)
        with pytest.raises(CannotWrite, match="No space left on device"):
            train(small_data(data), tmp_path, 3, resume=True)
    assert (tmp_path / "last.ckpt").read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


def test_lanes_draw_the_same_on_one_process_or_two(data: Path) -> None:
    """What two processes work on is what one works on."""
    whole = small_data(data, batch=4, slots=8, lanes=2, held_out=0)
    halves = [small_data(data, batch=4, slots=8, lanes=2, held_out=0) for _ in range(2)]
    start = PFrameCodec().start
    for module in (whole, *halves):
        module.setup("fit")
    whole.begin(start, torch.device("cpu"), 0, 1)
    for rank, module in enumerate(halves):
        module.begin(start, torch.device("cpu"), rank, 2)
    for _ in range(3):
        together = whole.pool.take(4)
        apart = [module.pool.take(2) for module in halves]
        for number, picture in enumerate(together.pictures):
            parts = torch.cat([taken.pictures[number].luma for taken in apart])
            assert torch.equal(picture.luma, parts)
        whole.pool.put(together, together.state)
        for module, taken in zip(halves, apart, strict=True):
            module.pool.put(taken, taken.state)


def test_a_batch_that_does_not_divide_is_refused(data: Path) -> None:
    module = small_data(data, batch=3, slots=8, lanes=2)
    module.setup("fit")
    with pytest.raises(OutOfRange, match="batch 3, 8 slots, 2 lanes"):
        module.begin(PFrameCodec().start, torch.device("cpu"), 0, 1)


def test_validation_is_of_whole_sequences_by_loss_and_bytes(data: Path, tmp_path: Path) -> None:
    module = train(small_data(data), tmp_path, 1)
    module.trainer.validate(module, small_data(data), verbose=False)
    found = module.validated
    assert 15 < found["validation/psnr"] < 60
    assert 0 < found["validation/bytes_bits_per_pixel"] < 8
    rows = (tmp_path / "validation.csv").read_text().splitlines()
    assert rows[0].startswith("step,seconds") and rows[1].startswith("1,")


def test_baked_integers_stay(data: Path, tmp_path: Path) -> None:
    """The last stage: the entropy model's weights are integers before and after."""
    module = train(small_data(data), tmp_path, 2, bake=True)
    weight = module.codec.prior.scale("chroma").enter[0].weight.detach() * 128
    assert torch.equal(weight, weight.round())
    for prior in module.codec.priors():
        assert not any(p.requires_grad for p in prior.parameters())


def test_noise_becomes_hard(data: Path, tmp_path: Path) -> None:
    module = train(small_data(data), tmp_path, 4, soft_to_hard=0.5)
    assert module.codec.quantiser == "rdo"


def test_training_starts_from_any_weights(data: Path, tmp_path: Path) -> None:
    """From its own checkpoints, from those of the plain loop before it, and from exported ones."""
    module = train(small_data(data), tmp_path, 2)
    own = tmp_path / "last.ckpt"
    plain = tmp_path / "plain.ckpt"
    states = {"codec": module.codec.state_dict(), "ema": module.ema.state_dict()}
    torch.save({**states, "optimiser": {}, "step": 2, "skipped": 0}, plain)
    for file in (own, plain):
        codec, ema = read_weights(file)
        assert same(codec, states["codec"]) and same(ema, states["ema"])
        begun = CodecTraining(init_from=file)
        assert same(begun.codec.state_dict(), states["codec"])
        assert same(begun.ema.state_dict(), states["ema"])
    with pytest.raises(DvcError, match="another network"):
        CodecTraining(network="dvc2019", init_from=own)
    old = {name: p for name, p in states["codec"].items() if "between" not in name}
    torch.save({"codec": old, "ema": old}, plain)
    with pytest.raises(DvcError, match="another network: Missing") as refused:
        CodecTraining(init_from=plain)
    assert len(str(refused.value)) < 300 and str(refused.value).endswith("…")


def test_samples_per_second_are_frames_of_training(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four steps of two frames of one sequence; a window takes one tick, and so does validation."""
    ticks = itertools.count()
    monkeypatch.setattr(trainer, "time", SimpleNamespace(monotonic=lambda: float(next(ticks))))
    monkeypatch.setitem(DEFAULTS, "val_check_interval", 3)
    train(small_data(data, rollout=2), tmp_path, 4, real_bytes=False)
    assert (tmp_path / "validation.csv").is_file()
    with (tmp_path / "train.csv").open(newline="") as file:
        assert [float(r["samples_per_second"]) for r in csv.DictReader(file)] == [4.0, 2.0]


def test_dvc2019_trains_with_the_same_module(data: Path, tmp_path: Path) -> None:
    sizes = asdict(Dvc2019Config.small())
    module = train(small_data(data), tmp_path, 2, network="dvc2019", network_config=sizes)
    assert module.steps_done == 2 and module.skipped == 0


def test_pictures_are_written(data: Path, tmp_path: Path) -> None:
    train(small_data(data), tmp_path, 2, pictures_every=2)
    picture = (tmp_path / "pictures" / "step-000002.png").read_bytes()
    assert picture[1:4] == b"PNG" and picture[16:24] == (6 * 64).to_bytes(4) + (64).to_bytes(4)
