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
    checkpoint: Mapping[str, Any]  # without callbacks where it was solved in closed form

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
        """Whether training has ended: solved, by its last epoch, or by early stopping."""
        states = self.checkpoint.get("callbacks")
        stopped = states is None or any(state.get("stopped") for state in states.values())
        return stopped or self.epochs >= max_epochs

    @property
    def history(self) -> list[dict[str, float]]:
        """What each epoch recorded; empty for a closed form."""
        history = self.checkpoint.get("callbacks", {}).get("History", {"rows": []})
        rows: list[dict[str, float]] = history["rows"]
        return rows


def resume_point(folder: Path, experiment: Experiment, model: Autoencoder) -> ResumePoint | None:
    """The newest of last and previous from which a training can continue, None if neither exists.

    folder: that of the checkpoints. model: as `prepare` made it.
    Raises UserError, naming the newest, where none is one of this training.
    """
    failures: list[UserError] = []
    for path in (folder / LAST, folder / PREVIOUS):
        if path.exists():
            try:
                point = _read(path, experiment, model)
            except UserError as error:
                failures.append(error)
                continue
            if failures:
                log.warning("%s; %s is used", failures[0].summary, path.name)
            return point
    if failures:
        raise failures[0]
    return None


def _read(path: Path, experiment: Experiment, model: Autoencoder) -> ResumePoint:
    content = load(path)
    if not isinstance(experiment.optimizer, GradientDescent):
        check_weights(model.state_dict(), weights(content), path)
        return ResumePoint(path, {"step": content["step"], "epoch": content["epoch"]})
    return ResumePoint(path, checked(content, path, experiment, model))
