"""`train.py fit` and `train.py validate`: Lightning's command line around our module and data."""

import logging
import warnings
from argparse import Namespace
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import yaml
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI
from pytorch_lightning.loggers import Logger

from dvc_codec.errors import FileMissing
from dvc_codec.training.checkpoints import LAST, AtomicIO
from dvc_codec.training.data import ReplayData
from dvc_codec.training.keeper import Keeper
from dvc_codec.training.logs import CsvLog, what_runs
from dvc_codec.training.module import CodecTraining

FINISHED = "finished"  # a file in the folder of a run: it has done all its steps
DEFAULTS: dict[str, Any] = {
    "default_root_dir": "runs/train",
    "max_steps": 20000,
    "check_val_every_n_epoch": None,
    "val_check_interval": 1000,
    "num_sanity_val_steps": 0,
    "enable_checkpointing": False,  # Keeper writes them
    "enable_progress_bar": False,  # a line per row of the log instead
    "enable_model_summary": False,
    "use_distributed_sampler": False,
}


class TrainingCli(LightningCLI):
    """--trainer.*, --model.*, --data.*, --keeper.*, --wandb."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_lightning_class_args(Keeper, "keeper")
        parser.add_argument(
            "--wandb",
            type=Literal["off", "offline", "online"],
            default="off",
            help="also log there; offline writes a folder `wandb` that `wandb sync` uploads",
        )

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        folder = Path(self._get(self.config_init, "trainer")["default_root_dir"])
        loggers: list[Logger] = [CsvLog(folder)]
        wandb = self._get(self.config_init, "wandb")
        if wandb != "off":
            loggers.append(_wandb(folder, offline=wandb == "offline"))
        trainer = super().instantiate_trainer(**{**kwargs, "logger": loggers})
        trainer.strategy.checkpoint_io = AtomicIO()
        return trainer

    def fit(self, model: CodecTraining, **given: Any) -> None:
        """``--ckpt_path last`` goes on from the run's own checkpoint, or starts if it has none."""
        folder = Path(self.trainer.default_root_dir)
        given["ckpt_path"] = _checkpoint(folder, given.get("ckpt_path"))
        given.pop("weights_only", None)
        said = what_runs(self.datamodule.data)
        if self.trainer.is_global_zero:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "run.yaml").write_text(yaml.safe_dump(said))
        csv, *others = self.trainer.loggers
        for logger in others:
            logger.log_hyperparams(said | {"config": _plain(self.config)})
        assert isinstance(csv, CsvLog)
        if given["ckpt_path"] and self.trainer.is_global_zero:
            from dvc_codec.training.checkpoints import read

            csv.restart(int(read(given["ckpt_path"])["step"]))
        self.trainer.fit(model, **given)
        if self.trainer.is_global_zero and model.steps_done >= self.trainer.max_steps > 0:
            (folder / FINISHED).touch()

    def validate(self, model: CodecTraining, **given: Any) -> None:
        """The average's weights over all validation sequences; a row of the log, printed."""
        folder = Path(self.trainer.default_root_dir)
        given["ckpt_path"] = _checkpoint(folder, given.get("ckpt_path"))
        given.pop("weights_only", None)
        self.trainer.validate(model, verbose=False, **given)

    @property
    def keeper(self) -> Keeper:
        return next(c for c in self.trainer.callbacks if isinstance(c, Keeper))  # type: ignore


def run(arguments: list[str]) -> int:
    """`fit ...` or `validate ...`. -> exit code: 143 or 130 after a signal."""
    warnings.filterwarnings("ignore", "LightningCLI's args parameter")
    warnings.filterwarnings("ignore", ".*LeafSpec.*")
    for noisy in ("pytorch_lightning", "lightning.pytorch", "pytorch_lightning.utilities"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    cli = TrainingCli(
        CodecTraining,
        ReplayData,
        args=arguments,
        seed_everything_default=1,
        trainer_defaults=DEFAULTS,
        save_config_kwargs={"overwrite": True},
        parser_kwargs={"description": "Train the codec.", "prog": "train.py"},
    )
    return 128 + cli.keeper.signal if cli.keeper.signal else 0


def _checkpoint(folder: Path, given: str | Path | None) -> str | None:
    if given is None:
        return None
    if str(given) == "last":
        last = folder / LAST
        return str(last) if last.is_file() else None
    if not Path(given).is_file():
        raise FileMissing(f"{given}: no checkpoint here")
    return str(given)


def _wandb(folder: Path, offline: bool) -> Logger:
    try:
        import wandb  # noqa: F401
        from pytorch_lightning.loggers import WandbLogger
    except ImportError as error:
        raise FileMissing("--wandb: the package wandb is not installed") from error
    folder.mkdir(parents=True, exist_ok=True)
    return WandbLogger(project="dvc-codec", name=folder.name, save_dir=str(folder), offline=offline)


def _plain(config: Any) -> Any:
    """A configuration as YAML takes it."""
    if isinstance(config, Namespace) or hasattr(config, "as_dict"):
        config = config.as_dict() if hasattr(config, "as_dict") else vars(config)
    if isinstance(config, dict):
        return {k: _plain(v) for k, v in config.items()}
    if isinstance(config, list | tuple):
        return [_plain(v) for v in config]
    return config if isinstance(config, str | int | float | bool | None) else str(config)
