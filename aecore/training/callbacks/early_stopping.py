"""Early stopping that survives a resume and reports that it stopped."""

from __future__ import annotations

from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping
from typing_extensions import override

from aecore.config.terminal import say
from aecore.training.callbacks.checkpoint import Checkpoints


class ResumableEarlyStopping(EarlyStopping):
    """Lightning's early stopping, which says that it has stopped, also to a resumed run."""

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        checkpoints = trainer.checkpoint_callback
        if self.stopped_epoch and trainer.is_global_zero and isinstance(checkpoints, Checkpoints):
            best = f"best ones, of epoch {checkpoints.best_epoch}"
            say(
                f"stopped early after epoch {self.stopped_epoch + 1}: {self.monitor} has not "
                f"decreased for {self.patience} epochs; the weights evaluated are the "
                f"{best if checkpoints.keep else 'last ones'}"
            )

    @override
    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "stopped": bool(self.stopped_epoch)}
