"""The trainer: it learns, stops, and goes on where it stopped."""

import copy
import os
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.codec.pictures import to_picture, to_planes
from dvc_codec.intra import encode_for_lambda
from dvc_codec.networks.planes import from_bytes
from dvc_codec.training import fit as trainer
from dvc_codec.training.fit import Plan, average, fit, learning_rate_at, parameter_groups
from dvc_codec.training.intra_frames import hevc_intra
from dvc_codec.training.loss import rollout_loss
from tests.moving import panned_texture
from tests.training.clips import moving_clips, write_shards


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    write_shards(moving_clips(2), tmp_path / "data")
    return Plan(
        tmp_path / "data",
        tmp_path / "run",
        steps=4,
        batch=1,
        rollout=1,
        size=64,
        slots=2,
        longest=5,
        threads=1,
    )


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


def test_every_parameter_that_is_trained_gets_a_gradient() -> None:
    """Two frames, so that features of the first are used by the second."""
    torch.manual_seed(1)
    codec = PFrameCodec()
    with torch.no_grad():  # past the zero layers, behind which nothing is felt
        for name, parameter in codec.named_parameters():
            parameter.add_(0.01 * torch.randn_like(parameter) * ("prior" not in name))
        for name, parameter in codec.prior.named_parameters():
            if name.endswith(("out.weight", "leave.weight")):
                parameter.normal_(0, 0.05)
    groups: list[dict[str, Any]] = parameter_groups(codec, 1e-3)
    pictures = [to_planes(p) for p in panned_texture(size=(64, 64), frames=4)]
    state = codec.start(pictures[0])
    measured, _ = rollout_loss(codec, pictures[1:], state, torch.tensor([55]), 0.1)
    measured.loss.backward()
    trained = {id(p) for group in groups for p in group["params"]}
    silent = [
        name
        for name, p in codec.named_parameters()
        if id(p) in trained and (p.grad is None or not float(p.grad.abs().max()))
    ]
    assert silent == []


def test_what_is_frozen_has_no_gradient_and_no_rate() -> None:
    codec = PFrameCodec()
    groups: list[dict[str, Any]] = parameter_groups(codec, 1e-3)
    trained = {id(p) for group in groups for p in group["params"]}
    for name, parameter in codec.named_parameters():
        assert (id(parameter) in trained) == parameter.requires_grad, name
    assert not codec.network.flow.first.weight.requires_grad
    assert codec.network.compensation.leave.weight.requires_grad


def test_the_learning_rate_rises_and_falls(plan: Plan) -> None:
    long = Plan(plan.data, plan.out, steps=2000)
    rates = [learning_rate_at(long, step) for step in range(2001)]
    assert rates[0] == pytest.approx(long.learning_rate / 200, rel=0.01)
    assert 190 <= int(np.argmax(rates)) <= 200
    assert rates[-1] == pytest.approx(long.last_learning_rate)
    assert all(a >= b for a, b in pairwise(rates[200:]))


def test_the_average_follows() -> None:
    codec = PFrameCodec()
    kept = copy.deepcopy(codec)
    with torch.no_grad():
        codec.network.compensation.leave.bias.fill_(1)
    codec.prior.set_tables("motion", codec.prior.tables()["motion"].counts + 3)
    average(kept, codec, 0.75)
    assert float(kept.network.compensation.leave.bias.detach()[0]) == 0.25
    assert (kept.prior.tables()["motion"].counts == codec.prior.tables()["motion"].counts).all()


def test_training_starts_from_i_frames_like_those_of_use() -> None:
    """The first reference must have the quality that the encoder's I frames have."""
    picture = panned_texture(size=(128, 128), frames=1)[0]
    luma = torch.from_numpy(picture.y)
    chroma = torch.stack((torch.from_numpy(picture.u), torch.from_numpy(picture.v)))
    for lam in (128.0, 512.0, 2048.0):
        y, c = hevc_intra(luma, chroma, lam)
        _, _, used = encode_for_lambda(picture, lam, "hevc")
        trained = to_picture(from_bytes(y[None, None], c[None]), 128, 128)
        errors = [float(((p.y.astype(float) - picture.y) ** 2).mean()) for p in (trained, used)]
        assert abs(10 * np.log10(errors[0] / errors[1])) < 1.5, (lam, errors)


class Killed(Exception):
    """What a job meets that is stopped from outside."""


def killed_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop in the middle of a step, with a checkpoint after every one."""
    done = []
    original = trainer.rollout_loss

    def counted(*arguments: Any) -> Any:
        if len(done) == steps:
            raise Killed
        done.append(1)
        return original(*arguments)

    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", -1)
    monkeypatch.setattr(trainer, "rollout_loss", counted)


def checkpoint(plan: Plan) -> dict[str, Any]:
    kept: dict[str, Any] = torch.load(plan.out / "last.ckpt", weights_only=True)
    return kept


def test_a_killed_training_goes_on_where_it_was(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Step, weights, average, optimiser and learning rate go on exactly. The pool does not: it is
    not saved, so other crops follow, and the weights at the end are others than without the stop.
    """
    whole = Plan(**{**vars(plan), "out": tmp_path / "whole"})
    with monkeypatch.context() as patched:
        killed_after(2, patched)
        with pytest.raises(Killed):
            fit(plan)
    middle = checkpoint(plan)
    assert middle["step"] == 2
    with monkeypatch.context() as patched:
        killed_after(0, patched)
        with pytest.raises(Killed):
            fit(plan)  # what was loaded is what was saved, nothing is written before a step
    assert checkpoint(plan)["step"] == 2
    fit(plan)
    fit(whole)
    ours, theirs = checkpoint(plan), checkpoint(whole)
    assert ours["step"] == theirs["step"] == 4
    assert ours["skipped"] == theirs["skipped"] == 0
    steps = {int(s["step"]) for s in ours["optimiser"]["state"].values()}
    assert max(steps) == 4
    rates = [[g["lr"] for g in c["optimiser"]["param_groups"]] for c in (ours, theirs)]
    assert rates[0] == rates[1]
    name = "network.compensation.leave.weight"
    assert not torch.equal(ours["codec"][name], middle["codec"][name])


def test_the_same_plan_gives_the_same_weights(plan: Plan, tmp_path: Path) -> None:
    """On one thread, without a stop, to the bit."""
    other = Plan(**{**vars(plan), "out": tmp_path / "other", "steps": 2})
    fit(Plan(**{**vars(plan), "steps": 2}))
    fit(other)
    a, b = checkpoint(plan)["codec"], checkpoint(other)["codec"]
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_finished_training_does_nothing(plan: Plan) -> None:
    done = Plan(**{**vars(plan), "steps": 1})
    fit(done)
    before = checkpoint(done)["codec"]
    fit(done)
    after = checkpoint(done)["codec"]
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_step_that_is_not_finite_is_skipped_and_counted(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = trainer.rollout_loss

    def broken(*arguments: Any) -> Any:
        measured, state = original(*arguments)
        measured.loss = measured.loss * float("nan")
        return measured, state

    monkeypatch.setattr(trainer, "rollout_loss", broken)
    fit(Plan(**{**vars(plan), "steps": 2}))
    kept = checkpoint(plan)
    assert kept["skipped"] == 2
    assert all(bool(t.isfinite().all()) for t in kept["codec"].values())


def test_sigterm_ends_with_a_checkpoint(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told to stop in its second step, it finishes that one and saves."""
    original, steps = trainer.rollout_loss, []

    def told(*arguments: Any) -> Any:
        steps.append(1)
        if len(steps) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments)

    monkeypatch.setattr(trainer, "rollout_loss", told)
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    try:
        fit(plan)
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])
    assert checkpoint(plan)["step"] == 2
