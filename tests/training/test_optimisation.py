"""What learns, how fast, and the average that follows."""

import copy
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.codec.pictures import to_planes
from dvc_codec.training.loss import rollout_loss
from dvc_codec.training.optimisation import (
    adam,
    average,
    clip,
    learning_rate_at,
    leave_out,
    parameter_groups,
)
from tests.moving import panned_texture


def test_every_parameter_that_is_trained_gets_a_gradient() -> None:
    """Two anchors and B frames, so that features of each kind are used by the next."""
    torch.manual_seed(1)
    codec = PFrameCodec()
    with torch.no_grad():  # past the zero layers, behind which nothing is felt
        for name, parameter in codec.named_parameters():
            parameter.add_(0.01 * torch.randn_like(parameter) * ("prior" not in name))
        for module in (m for prior in codec.priors() for m in prior.modules()):
            if hasattr(module, "first_out"):
                module.first_out.weight.normal_(0, 0.05)
                module.second_out.weight.normal_(0, 0.05)
            elif hasattr(module, "leave"):
                several = isinstance(module.leave, nn.ModuleList)
                for layer in module.leave if several else [module.leave]:
                    layer.weight.normal_(0, 0.05)
    groups = parameter_groups(codec, 1e-3)
    pictures = [to_planes(p) for p in panned_texture(size=(64, 64), frames=9)]
    state = codec.start(pictures[0])
    # as if every symbol had been sent before: formulas weigh what was
    state = replace(
        state,
        past={name: plane + 1 for name, plane in state.past.items()},
        between={name: plane + 1 for name, plane in state.between.items()},
    )
    measured, _ = rollout_loss(codec, pictures[1:], state, torch.tensor([55]), 0.1, distance=4)
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
    codec.network.warp_gradients = False
    groups = parameter_groups(codec, 1e-3, freeze=("prior.", "prior_between."))
    trained = {id(p) for group in groups for p in group["params"]}
    for name, parameter in codec.named_parameters():
        assert (id(parameter) in trained) == parameter.requires_grad, name
        assert not (name.startswith("prior") and parameter.requires_grad)
    assert not codec.network.flow.first.weight.requires_grad
    assert codec.network.compensation.leave.weight.requires_grad


def test_with_gradients_through_the_warp_all_learn_and_steps_fast() -> None:
    codec = PFrameCodec()
    codec.network.warp_gradients = True
    groups: list[dict[str, Any]] = parameter_groups(codec, 1e-3)
    assert sum(len(g["params"]) for g in groups) == len(list(codec.parameters()))
    quick = next(g for g in groups if g["scale"] == 10)
    assert any(p is codec.network.residual.luma_steps.log_factor for p in quick["params"])


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [learning_rate_at(step, 2000, 4e-4, 1e-5, 200) for step in range(2001)]
    assert rates[0] == pytest.approx(4e-4 / 200, rel=0.01)
    assert 190 <= int(np.argmax(rates)) <= 200
    assert rates[-1] == pytest.approx(1e-5)
    assert all(a >= b for a, b in pairwise(rates[200:]))


def test_the_average_follows() -> None:
    codec = PFrameCodec()
    kept = copy.deepcopy(codec)
    with torch.no_grad():
        codec.network.compensation.leave.bias.fill_(1)
    average(kept, codec, 0.75, torch.tensor(False))
    assert float(kept.network.compensation.leave.bias.detach()[0]) == 0
    average(kept, codec, 0.75, torch.tensor(True))
    assert float(kept.network.compensation.leave.bias.detach()[0]) == 0.25


def test_a_step_that_is_left_out_changes_nothing() -> None:
    parameter = torch.nn.Parameter(torch.ones(3))
    optimiser = adam([{"params": [parameter], "scale": 1.0, "lr": 0.1}])
    for gradient, moves in ((1.0, True), (float("nan"), False), (float("inf"), False), (9.0, True)):
        before = parameter.detach().clone()
        parameter.grad = torch.full((3,), gradient)
        norm, sound = clip([parameter], 1.0)
        leave_out(optimiser, sound)
        optimiser.step()
        assert bool(sound) == moves == (not torch.equal(before, parameter.detach()))
        assert not moves or float(norm) == pytest.approx(gradient * 3**0.5)
    assert int(optimiser.state[parameter]["step"]) == 2
