"""Early stopping that survives a resume and reports that it stopped."""

from __future__ import annotations

from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping
from typing_extensions import override

from aecore.config.schema import Config
from aecore.config.terminal import say
from aecore.runs.checkpoint import evaluates_best
from aecore.training.callbacks.checkpoint import Checkpoints


class ResumableEarlyStopping(EarlyStopping):
    """Lightning's early stopping; a resumed run knows that it has stopped.

    evaluates_best: whether the best weights are those that are evaluated, or else the last ones.
    """

    def __init__(self, *, evaluates_best: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.evaluates_best = evaluates_best

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_end(trainer, pl_module)
        if not (self.stopped_epoch and trainer.is_global_zero):
            return
        checkpoints = trainer.checkpoint_callback
        assert isinstance(checkpoints, Checkpoints)
        last = self.stopped_epoch + 1
        evaluated = (
            f"best ones, of epoch {checkpoints.best_epoch}" if self.evaluates_best else "last ones"
        )
        say(
            f"stopped early after epoch {last}: {self.monitor} has not decreased for "
            f"{self.patience} epochs; the weights evaluated are the {evaluated}",
        )

    @override
    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "stopped": bool(self.stopped_epoch)}


def early_stopping(config: Config) -> list[ResumableEarlyStopping]:
    """The callback of `trainer.early_stopping`, none without a patience."""
    options = config.trainer.early_stopping
    if options.patience is None:
        return []
    return [
        ResumableEarlyStopping(
            evaluates_best=evaluates_best(config),
            monitor=options.monitor,
            patience=options.patience,
            min_delta=options.min_delta,
            check_on_train_epoch_end=True,
            verbose=False,
        )
    ]
