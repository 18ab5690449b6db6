"""Early stopping that survives a resume."""

from __future__ import annotations

from typing import Any

from pytorch_lightning.callbacks import EarlyStopping
from typing_extensions import override

from aecore.config.schema import Config


class ResumableEarlyStopping(EarlyStopping):
    """Lightning's early stopping; a resumed run knows that it has stopped."""

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
            monitor=options.monitor,
            patience=options.patience,
            min_delta=options.min_delta,
            check_on_train_epoch_end=True,
            verbose=False,
        )
    ]
