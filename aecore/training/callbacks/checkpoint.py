"""Checkpoints: tensors and plain values, replaced atomically."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.io import CheckpointIO
from torch import Tensor
from typing_extensions import override

from aecore.model.autoencoder import Autoencoder
from aecore.runs.checkpoint import BEST, LAST, PREFIX, PREVIOUS, RECORD, load, weights
from aecore.runs.files import make_folder, remove, replace_by_link, write_atomically
from aecore.training.finite import check_weights
from aecore.training.module import StoppedError, Training


class AtomicIO(CheckpointIO):
    """Write to a temporary file in the same folder, sync, rename; read no file at all.

    record: what each checkpoint records of its model; None keeps the record that is there.
    resumed: the checkpoint that Lightning continues from, of checked parts.
    """

    def __init__(
        self,
        record: Mapping[str, Any] | None = None,
        resumed: Mapping[str, Any] | None = None,
    ) -> None:
        self.record = {} if record is None else {RECORD: dict(record)}
        self.resumed = resumed

    @override
    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        path = Path(path)
        buffer = io.BytesIO()  # so that a full disk is an OSError of ours, not one inside torch
        torch.save({**checkpoint, **self.record}, buffer)
        make_folder(path.parent)
        if path.name == LAST:
            keep_previous(path)
        write_atomically(path, buffer.getvalue())

    @override
    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        assert self.resumed is not None
        return dict(self.resumed)

    @override
    def remove_checkpoint(self, path: Any) -> None:
        remove(Path(path))


def save_weights(model: Autoencoder, path: Path, record: Mapping[str, Any]) -> None:
    """Write the checkpoint of a model that no steps of an optimizer have led to."""
    state = {PREFIX + name: value.cpu() for name, value in model.state_dict().items()}
    AtomicIO(record).save_checkpoint({"state_dict": state, "step": 0, "epoch": 0}, path)


def keep_previous(last: Path) -> None:
    """Make the last checkpoint the previous one, before it is replaced."""
    if last.exists():
        replace_by_link(last, last.with_name(PREVIOUS))


class Checkpoints(Checkpoint):
    """Saves `last.ckpt` each epoch and `best.ckpt` where the monitored metric is lowest.

    monitor: the metric.
    minutes: `last.ckpt` is saved within an epoch too, after the first chunk that ends so long
    after the last save; None for never. It is also saved where a signal ends the training.
    keep: whether `weights` are those of the best epoch, on the CPU, for use after the training.
    """

    def __init__(
        self, folder: Path, minutes: float | None, monitor: str, *, keep: bool = False
    ) -> None:
        self.folder, self.minutes, self.monitor, self.keep = folder, minutes, monitor, keep
        self.best, self.best_epoch = float("inf"), 0
        self.weights: dict[str, Tensor] | None = None

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._saved = time.monotonic()
        before = self.folder / BEST
        if self.keep and self.best_epoch and before.exists():  # of the process that was interrupted
            self.weights = weights(load(before))

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, Training)
        if self.minutes is None or trainer.is_last_batch:  # the end of the epoch is about to save
            return
        if pl_module.is_accumulating:  # no checkpoint holds gradients
            return
        due = time.monotonic() - self._saved >= 60 * self.minutes
        if trainer.strategy.reduce_boolean_decision(due, all=False):  # all ranks save together
            self._save_within(trainer, pl_module)

    @override
    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        if isinstance(exception, StoppedError):
            self._save_within(trainer, pl_module)

    def _save_within(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save within an epoch."""
        assert isinstance(pl_module, Training)
        check_weights(pl_module.parameters(), pl_module.step)
        for logger in trainer.loggers:
            logger.save()  # what comes before a checkpoint's step is not logged again
        self._save_last(trainer)

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        score = trainer.callback_metrics.get(self.monitor)
        if score is not None and float(score) < self.best:
            self.best, self.best_epoch = float(score), trainer.current_epoch + 1
            if self.keep:
                assert isinstance(pl_module, Training)
                state = pl_module.evaluated.state_dict()
                self.weights = {k: v.detach().cpu().clone() for k, v in state.items()}
            trainer.save_checkpoint(self.folder / BEST)
            if trainer.is_global_zero:  # written once, it is the last one too
                keep_previous(self.folder / LAST)
                replace_by_link(self.folder / BEST, self.folder / LAST)
            self._saved = time.monotonic()
        else:
            self._save_last(trainer)

    def _save_last(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.folder / LAST)
        self._saved = time.monotonic()

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "best_epoch": self.best_epoch}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.best_epoch = state_dict["best"], state_dict["best_epoch"]
