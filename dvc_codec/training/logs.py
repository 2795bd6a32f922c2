"""The log on disk: ``train.csv`` and ``validation.csv`` in the folder of a run, and what ran."""

import csv
import hashlib
import platform
import time
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

import dvc_codec
from dvc_codec.checkout import commit

VALIDATION = "validation/"


class CsvLog(Logger):
    """Rows appended to CSV files; a run that goes on drops the rows past where it goes on."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self._begun = time.monotonic()

    @property
    def name(self) -> str:
        return "csv"

    @property
    def save_dir(self) -> str:
        """Lightning writes the configuration there."""
        return str(self.folder)

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """The whole configuration is written beside the log, as YAML."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """A row, with the seconds since the start."""
        found = {k: v for k, v in metrics.items() if k != "epoch"}
        if not found:
            return
        validation = any(k.startswith(VALIDATION) for k in found)
        row: dict[str, Any] = {"step": step, "seconds": round(time.monotonic() - self._begun, 1)}
        row |= {k.removeprefix(VALIDATION): float(f"{v:.6g}") for k, v in found.items()}
        self._append(self.folder / ("validation.csv" if validation else "train.csv"), row)
        print(" ".join(f"{name} {value}" for name, value in row.items() if value != ""), flush=True)

    def restart(self, step: int) -> None:
        """Training goes on from ``step``."""
        for name in ("train.csv", "validation.csv"):
            path = self.folder / name
            if path.is_file():
                with path.open(newline="") as file:
                    rows = list(csv.DictReader(file))
                kept = [r for r in rows if int(r["step"]) <= step]
                if len(kept) < len(rows):
                    path.unlink()
                    for row in kept:
                        self._append(path, row)

    def _append(self, path: Path, row: Mapping[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        columns = list(row)
        if path.is_file():
            with path.open(newline="") as file:
                columns = next(csv.reader(file), columns)
        new = not path.is_file()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore", restval="")
            if new:
                writer.writeheader()
            writer.writerow(row)


def what_runs(data: Path) -> dict[str, Any]:
    """Code, libraries, machine and data, as the log of every run says them."""
    return {
        "commit": commit(),
        "dvc_codec": dvc_codec.__version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "data": str(data),
        "data_sha256": data_hash(data),
    }


def data_hash(folder: Path) -> str:
    """SHA-256 over the index and the sizes of the files beside it: changes with the data, and costs
    no reading of gigabytes.
    """
    found = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        found.update(f"{path.name} {path.stat().st_size}\n".encode())
        if path.suffix in (".csv", ".txt"):
            found.update(path.read_bytes())
    return found.hexdigest()
