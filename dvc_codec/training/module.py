"""The Lightning module: a step of training, whole sequences for validation, what is kept."""

import copy
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from dvc_codec.codec.model import fast_on
from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.codec.registry import FILTERS, build
from dvc_codec.errors import DvcError
from dvc_codec.networks.blocks import use_channels_last
from dvc_codec.networks.rate import ENCODER_TRADE, TRADE
from dvc_codec.training.checkpoints import misfit, read_weights
from dvc_codec.training.data import ReplayData
from dvc_codec.training.intra_frames import as_shown
from dvc_codec.training.loss import COLUMNS, Loss, Measured, rollout_loss
from dvc_codec.training.optimisation import (
    adam,
    average,
    clip,
    learning_rate_at,
    leave_out,
    parameter_groups,
)
from dvc_codec.training.replay import Taken
from dvc_codec.training.validation import Case, measure_bytes, measure_loss

FOLLOWING = 32  # below it: frames that are said to follow a roll-out with B frames, in turn
TOO_MANY = 0.5  # share of a window's steps that were not finite: then it has come apart


class Diverged(DvcError):
    """Training that gives nothing but infinities."""


class CodecTraining(pl.LightningModule):
    """Trains a codec on the replay pool of its data module.

    Args:
        network: "dvc" or "dvc2019".
        network_config: sizes that differ from the network's own, by name, and its metric.
        init_from: start from these weights (a checkpoint, or exported .safetensors); nothing else
            of the file is used. Its filters that are trained alone come along and stay
            as they are.
        loss: what is minimised.
        learning_rate: at first; falls along a cosine.
        last_learning_rate: at the end.
        warm_up: steps over which the rate rises.
        slow: factor on the rate of the transforms.
        quick: factor on the rate of the quantiser's steps.
        freeze: parts of names of parameters to leave as they are.
        bake: make the entropy model's weights integers before training and leave them so.
        warp_gradients: let gradients through pictures and flow; None leaves it to the network.
        quantiser: "rdo", "round" or "noise"; None leaves it to the network.
        trade: of the "rdo" quantiser, in the closed form's; as the encoder's, which measured best.
        soft_to_hard: begin with additive noise, and go over to ``quantiser`` after this share of
            the steps.
        ema: decay of the running average, which is what is validated and exported.
        gradient_clip: largest norm of the gradient.
        fast: bfloat16 networks; None: where the hardware has it.
        compile_networks: run the convolutional networks through torch.compile.
        log_every: steps between rows of the log.
        pictures_every: steps between pictures; 0 makes none.
        real_bytes: validate by real bytes too, where numba and PyAV are installed.
    """

    def __init__(
        self,
        network: str = "dvc",
        network_config: dict[str, int | str] | None = None,
        init_from: Path | None = None,
        loss: Loss = Loss(),  # noqa: B008  # frozen
        learning_rate: float = 4e-4,
        last_learning_rate: float = 1e-5,
        warm_up: int = 200,
        slow: float = 0.1,
        quick: float = 10.0,
        freeze: Sequence[str] = (),
        bake: bool = False,
        warp_gradients: bool | None = None,
        quantiser: Literal["rdo", "round", "noise"] | None = None,
        trade: float = ENCODER_TRADE / TRADE,
        soft_to_hard: float = 0.0,
        ema: float = 0.999,
        gradient_clip: float = 1.0,
        fast: bool | None = None,
        compile_networks: bool = False,
        log_every: int = 50,
        pictures_every: int = 0,
        real_bytes: bool = True,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        sizes = dict(network_config or {})
        start = read_weights(init_from) if init_from is not None else None
        for field, prefix in FILTERS.items():
            first = f"{prefix}enter.weight"
            if start is not None and first in start[0]:
                sizes.setdefault(field, len(start[0][first]))  # they come along
        self.settings, self.loss = {"network": network, **sizes}, loss
        self.rates = learning_rate, last_learning_rate, warm_up
        self.slow, self.quick, self.bake = slow, quick, bake
        self.freeze_parts = (*freeze, "prior.", "prior_between.") if bake else tuple(freeze)
        self.decay, self.gradient_clip = ema, gradient_clip
        self.fast, self.compile_networks = fast, compile_networks
        self.log_every, self.pictures_every = log_every, pictures_every
        self.real_bytes = real_bytes
        self.codec = build(network, sizes)
        if warp_gradients is not None:
            self.codec.network.warp_gradients = warp_gradients
        self.codec.trade = trade * TRADE
        self.hard = quantiser or self.codec.quantiser
        self.codec.quantiser, self.soft_to_hard = self.hard, soft_to_hard
        use_channels_last(self.codec)
        self.ema = copy.deepcopy(self.codec)
        if start is not None:
            self.load_weights(*start)
        self.groups = parameter_groups(
            self.codec, learning_rate, slow=slow, quick=quick, freeze=self.freeze_parts
        )
        self.ema.requires_grad_(False)
        # Buffers never differ between processes, and the average is computed alike in all
        self._ddp_params_and_buffers_to_ignore = [
            *(name for name, _ in self.named_buffers()),
            *(f"ema.{name}" for name, _ in self.ema.named_parameters()),
        ]
        self.steps_done = 0
        self.skipped = 0
        self._window: Tensor | None = None  # sums since the last row of the log
        self._in_window = 0
        self._window_begun = 0.0
        self._cases: list[dict[str, float]] = []
        self.validated: dict[str, float] = {}  # means of the last validation

    def load_weights(self, codec: Mapping[str, Tensor], ema: Mapping[str, Tensor]) -> None:
        """Take over weights, and their average."""
        for module, state in ((self.codec, codec), (self.ema, ema)):
            try:
                module.load_state_dict(state)
            except RuntimeError as error:
                raise DvcError(f"init_from: weights of another network: {misfit(error)}") from error

    @property
    def data(self) -> ReplayData:
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, ReplayData)
        return data

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return adam(self.groups)

    def on_fit_start(self) -> None:
        if self.bake:
            self.codec.bake()
            self.ema.bake()
        self._set_precision()
        if self.compile_networks:
            for part in ("compensation", "compensation_between", "filter"):
                module = getattr(self.codec.network, part, None)
                if isinstance(module, nn.Module):
                    module.compile()
        refine = partial(as_shown, self.codec) if self.codec.stills is not None else None
        processes = self.trainer.world_size
        self.data.begin(self.codec.start, self.device, self.global_rank, processes, refine)
        self._window_begun = time.monotonic()

    def on_validation_start(self) -> None:
        self._set_precision()
        self._window_begun -= time.monotonic()

    def on_validation_end(self) -> None:
        self._window_begun += time.monotonic()  # samples per second are those of training

    def _set_precision(self) -> None:
        fast = fast_on(self.device) if self.fast is None else self.fast
        self.codec.network.fast = self.ema.network.fast = fast

    def training_step(self, batch: Any, number: int) -> None:
        """One step of some slots: code, learn, put the states back. Waits for the device only
        where a row is logged.
        """
        step = self.steps_done
        optimiser = self.optimizers()
        steps = self.total_steps()
        rate = learning_rate_at(step, steps, *self.rates)
        for group in optimiser.param_groups:  # type: ignore[union-attr]
            group["lr"] = rate * group["scale"]
        if self.soft_to_hard:
            self.codec.quantiser = "noise" if step < self.soft_to_hard * steps else self.hard
        pool = self.data.pool
        taken = pool.take(self.data.local_batch)
        lap, turn = divmod(step, len(self.loss.distances))
        measured, state = rollout_loss(
            self.codec,
            taken.pictures,
            taken.state,
            taken.rates,
            loss=self.loss,
            distance=self.loss.distances[turn],
            following=lap * self.data.rollout % FOLLOWING,
        )
        optimiser.zero_grad(set_to_none=True)  # type: ignore[union-attr]
        self.manual_backward(measured.loss)
        trained = [p for group in self.groups for p in group["params"]]
        norm, sound = clip(trained, self.gradient_clip)
        leave_out(optimiser.optimizer, sound)  # type: ignore[union-attr]
        optimiser.step()  # type: ignore[union-attr]
        average(self.ema, self.codec, min(self.decay, (step + 1) / (step + 10)), sound)
        pool.put(taken, state, sound)
        self.steps_done = step + 1
        self._note(measured, norm, sound, rate)
        if self.pictures_every and (step + 1) % self.pictures_every == 0:
            self._show(taken)

    def total_steps(self) -> int:
        """Steps of this stage, on which the learning rate's fall is laid out."""
        most = self.trainer.max_steps
        return most if most > 0 else 10**9

    def _note(self, measured: Measured, norm: Tensor, sound: Tensor, rate: float) -> None:
        row = torch.cat((measured.loss.detach().view(1), measured.values, norm.detach().view(1)))
        row = torch.where(sound, row, torch.zeros_like(row))
        row = torch.cat((row, sound.float().view(1)))
        self._window = row if self._window is None else self._window + row
        self._in_window += 1
        if self.steps_done % self.log_every == 0:
            self.log_window(rate)

    def log_window(self, rate: float) -> None:
        """A row of the log: means since the last one, and samples (P and B frames, of all
        processes) per second. Raises Diverged.
        """
        if self._window is None:
            return
        whole = self.trainer.strategy.reduce(self._window, reduce_op="mean")  # of all processes
        assert isinstance(whole, Tensor)
        *sums, counted = whole.tolist()
        done, self._window, self._in_window = self._in_window, None, 0
        self.skipped += done - round(counted)
        means = [s / max(1.0, counted) for s in sums]
        now = time.monotonic()
        spent, self._window_begun = now - self._window_begun, now
        names = ("loss", *COLUMNS, "gradient")
        said = dict(zip(names, means, strict=True)) | {"learning_rate": rate}
        said |= {"skipped": float(self.skipped), "batch": float(self.data.batch)}
        said["samples_per_second"] = done * self.data.batch * self.data.rollout / max(spent, 1e-9)
        if self.trainer.logger is not None:
            for logger in self.trainer.loggers:
                logger.log_metrics(said, self.steps_done)
        if counted < (1 - TOO_MANY) * done:
            raise Diverged(
                f"step {self.steps_done}: {done - round(counted)} of the last {done} steps were "
                "not finite; lower the learning rate, or start from an earlier checkpoint"
            )

    def _show(self, taken: Taken) -> None:
        from dvc_codec.training.sheet import save_sheet

        if self.global_rank == 0:
            with torch.no_grad():
                save_sheet(self, taken, self.steps_done)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        missed = 0 if self._window is None else self._in_window - round(float(self._window[-1]))
        checkpoint["step"] = self.steps_done
        checkpoint["skipped"] = self.skipped + missed
        checkpoint["network"] = dict(self.settings)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.steps_done, self.skipped = checkpoint["step"], checkpoint["skipped"]

    def validation_step(self, case: Case, number: int) -> None:
        """A whole sequence at one rate, by the average's weights."""
        found = measure_loss(self.ema, case, self.device)
        if self.real_bytes:
            found |= measure_bytes(self.ema, case)
        self._cases.append(found)

    def on_validation_epoch_end(self) -> None:
        """Means over all cases of all processes, as a row of the log."""
        if not self._cases:
            return
        names = sorted(self._cases[0])
        sums = [sum(case[name] for case in self._cases) for name in names]
        total = torch.tensor([*sums, len(self._cases)], dtype=torch.float32, device=self.device)
        total = self.trainer.strategy.reduce(total, reduce_op="sum")
        *sums, count = total.tolist()
        self._cases = []
        self.validated = {
            f"validation/{name}": value / count for name, value in zip(names, sums, strict=True)
        }
        for logger in self.trainer.loggers:
            logger.log_metrics(self.validated, self.steps_done)

    def codec_for_use(self) -> PFrameCodec:
        """The running average, which is what is exported."""
        return self.ema
