"""The checkpoint from which an interrupted training continues."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.runs.checkpoint import LAST, PREVIOUS, check_weights, load, weights
from aecore.training.checkpoint_parts import checked
from aecore.training.module import EPOCH_PROGRESS
from aecore.training.optimizers.gradient import GradientDescent
from aecore.training.setup import Experiment

log = logging.getLogger("aecore")


@dataclass(frozen=True)
class ResumePoint:
    """A checkpoint that was read and checked, and its path."""

    path: Path
    checkpoint: Mapping[str, Any]

    @property
    def step(self) -> int:
        """Optimizer steps so far."""
        return int(self.checkpoint["step"])

    @property
    def within_epoch(self) -> bool:
        """Whether an epoch is under way."""
        return EPOCH_PROGRESS in self.checkpoint

    @property
    def epochs(self) -> int:
        """Epochs completed; Lightning counts them from 0."""
        return int(self.checkpoint["epoch"]) + (0 if self.within_epoch else 1)

    def is_complete(self, max_epochs: int) -> bool:
        """Whether training has ended, by its last epoch or by early stopping."""
        stopped = any(state.get("stopped") for state in self._callbacks.values())
        return stopped or self.epochs >= max_epochs

    @property
    def history(self) -> list[dict[str, float]]:
        """What each epoch recorded; empty for a closed form."""
        rows: list[dict[str, float]] = self._callbacks.get("History", {}).get("rows", [])
        return rows

    @property
    def _callbacks(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.checkpoint.get("callbacks", {})
        return found


def resume_point(folder: Path, experiment: Experiment, model: Autoencoder) -> ResumePoint | None:
    """The newest of last and previous from which a training can continue, None if neither exists.

    folder: that of the checkpoints. model: as `prepare` made it.
    Raises UserError, naming the newest, where none is one of this training.
    """
    failure: UserError | None = None
    for name in (LAST, PREVIOUS):
        path = folder / name
        if not path.exists():
            continue
        try:
            found = _read(path, experiment, model)
        except UserError as error:
            failure = failure or error
            continue
        if failure is not None:
            log.warning("%s; %s is used", failure.summary, path.name)
        return found
    if failure is not None:
        raise failure
    return None


def _read(path: Path, experiment: Experiment, model: Autoencoder) -> ResumePoint:
    content = load(path)
    if not isinstance(experiment.optimizer, GradientDescent):
        check_weights(model.state_dict(), weights(content), path)
        return ResumePoint(path, {"step": content["step"], "epoch": content["epoch"]})
    return ResumePoint(
        path,
        checked(
            content,
            path,
            model=model,
            optimizer=experiment.optimizer,
            schedule=experiment.scheduler,
            batches=experiment.data.train_dataloader(),
            max_epochs=experiment.max_epochs,
        ),
    )
