"""`history.csv`: one row per epoch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from typing_extensions import override

from aecore.runs.folder import write_history
from aecore.training.module import Training


class History(Callback):
    """Means of every term over each epoch, the learning rate and the seconds it took.

    The rows are saved in the checkpoint, so that a resumed run has one history.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []
        self._spent = 0.0  # seconds of the epoch under way, before this process

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._clock = time.perf_counter() - self._spent

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Training)
        now = time.perf_counter()
        row: dict[str, float] = {
            "epoch": trainer.current_epoch + 1,
            "step": pl_module.step,
            **pl_module.train_mean.result("train"),
            **pl_module.val_mean.result("val"),
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "images": pl_module.train_mean.images,
            "seconds": now - self._clock,
        }
        self._clock = now
        self.rows.append(row)
        if trainer.is_global_zero:
            write_history(self.path.parent, self.rows)

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "seconds": time.perf_counter() - self._clock}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])
        self._spent = state_dict["seconds"]
