"""The checkpoint from which an interrupted training continues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aecore.errors import UserError
from aecore.runs.checkpoint import LAST, PREVIOUS, load
from aecore.training.module import EPOCH_PROGRESS


@dataclass(frozen=True)
class ResumePoint:
    """A checkpoint that was read, and its path."""

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
        """Whether training has ended: by its last epoch, early stopping or a closed form."""
        stopped = any(
            isinstance(state, dict) and state.get("stopped") is True
            for state in self.checkpoint.get("callbacks", {}).values()
        )
        solved = "optimizer_states" not in self.checkpoint
        return solved or stopped or self.epochs >= max_epochs


def resume_point(folder: Path) -> ResumePoint | None:
    """The newest readable checkpoint of last and previous, None where neither exists.

    folder: that of the checkpoints. Raises UserError, naming the newest, where none is readable.
    """
    failure: UserError | None = None
    for name in (LAST, PREVIOUS):
        path = folder / name
        if not path.exists():
            continue
        try:
            return ResumePoint(path, load(path))
        except UserError as error:
            failure = failure or error
    if failure is not None:
        raise failure
    return None
