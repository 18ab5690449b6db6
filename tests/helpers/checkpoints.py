"""Training that leaves checkpoints and a history, and the reading of them."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from aecore.data.module import ImageData
from aecore.model.autoencoder import Autoencoder
from aecore.runs.checkpoint import LAST, load
from aecore.training.callbacks.checkpoint import Checkpoints
from aecore.training.callbacks.history import History
from aecore.training.module import Training
from aecore.training.optimizers.schedulers import Constant, Schedule
from aecore.training.resume import ResumePoint, resume_point
from aecore.training.setup import Experiment
from helpers.models import adam, data, fit, trainer_options
from helpers.training_loop import X, noisy_vae


def checkpointed(
    whole: Autoencoder,
    folder: Path,
    epochs: int,
    *,
    module: ImageData | None = None,
    resume: bool = False,
    callbacks: tuple[Callback, ...] = (),
    schedule: Schedule | None = None,
    minutes: float | None = None,
    **options: Any,
) -> Training:
    """A run with checkpoints and a history in the folder."""
    history = History(folder / "history.csv")
    return fit(
        whole,
        data(X, val_size=10) if module is None else module,
        epochs=epochs,
        schedule=schedule,
        callbacks=[history, Checkpoints(folder, minutes, "val/loss"), *callbacks],
        ckpt_path=folder / LAST if resume else None,
        **options,
    )


def continued(folder: Path, module: ImageData | None = None) -> ResumePoint | None:
    """Where a training of `noisy_vae` that `checkpointed` began would continue."""
    experiment = SimpleNamespace(
        config=trainer_options(5),
        optimizer=adam(),
        scheduler=Constant(),
        data=data(X, val_size=10) if module is None else module,
        max_epochs=5,
    )
    return resume_point(folder, cast(Experiment, experiment), noisy_vae())


def read(folder: Path) -> list[dict[str, str]]:
    """The rows of a run's history."""
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Every tensor and plain value of a checkpoint, by where it stands."""
    if isinstance(value, dict):
        found: dict[str, Any] = {}
        for key, part in value.items():
            found |= leaves(part, f"{path}/{key}")
        return found
    if isinstance(value, (list, tuple)):
        return leaves(dict(enumerate(value)), path)
    return {path: value}


def same_checkpoint(a: Path, b: Path) -> None:
    """Equal bit for bit but for times and Lightning's own counters of what ran since it started."""
    one, other = (leaves(load(path)) for path in (a, b))
    skip = ("seconds", "/loops/")
    names = [n for n in one if not any(word in n for word in skip)]
    assert names == [n for n in other if not any(word in n for word in skip)]
    for name in names:
        x, y = one[name], other[name]
        assert torch.equal(x, y) if isinstance(x, Tensor) else x == y, name
    assert any("exp_avg" in name for name in names)


class Broken(Exception):
    """The power is gone."""


class Break(Callback):
    """Ends a run as an epoch begins, or as a chunk of it does."""

    def __init__(self, at: int, chunk: int | None = None) -> None:
        self.at, self.chunk = at, chunk

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == self.at and self.chunk is None:
            raise Broken

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if (trainer.current_epoch, batch_idx) == (self.at, self.chunk):
            raise Broken
