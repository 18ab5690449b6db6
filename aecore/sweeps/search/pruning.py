"""Tells a search how its trial is going, and ends the trial where the search has seen enough."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_lightning import Callback, LightningModule, Trainer

from aecore.runs.sweep import read
from aecore.training.module import Training

if TYPE_CHECKING:
    from optuna import Trial

PRUNED = "pruned"  # the attribute of a trial that was ended early


class Pruning(Callback):
    """Reports a metric to the trial after each epoch and stops training when it is pruned.

    What follows training goes on as after early stopping, so the run folder is whole.

    metric: `val/...` or `train/...`, as in history.csv; others are not reported.
    """

    def __init__(self, trial: Trial, metric: str, reported: set[int]) -> None:
        self.trial = trial
        self.metric = metric
        self.reported = reported
        self.stopped = False

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Training)
        epoch = trainer.current_epoch + 1
        means = {**pl_module.train_mean.result("train"), **pl_module.val_mean.result("val")}
        stop = False
        if trainer.is_global_zero and self.metric in means:
            if epoch not in self.reported:  # an epoch that was interrupted repeats itself
                self.trial.report(means[self.metric], epoch)
                self.reported.add(epoch)
            last = trainer.max_epochs is not None and epoch >= trainer.max_epochs
            stop = not last and bool(self.trial.should_prune())  # a numpy one
            if stop:
                self.trial.set_user_attr(PRUNED, True)
        self.stopped = trainer.strategy.broadcast(stop)
        trainer.should_stop = trainer.should_stop or self.stopped

    def state_dict(self) -> dict[str, Any]:
        return {"stopped": self.stopped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.stopped = state_dict["stopped"]


def pruning(folder: Path) -> list[Callback]:
    """The callback of a run that is a trial still going on, found through the sweep's record.

    Raises UserError where the storage of the search cannot be opened.
    """
    sweep = read(folder.parent)
    if sweep is None or sweep.search is None or not folder.name.isdigit():
        return []
    from aecore.sweeps.search.settings import plan_of
    from aecore.sweeps.search.study import opened

    plan = plan_of(sweep)
    shared = opened(sweep.folder, plan)
    number = int(folder.name)
    trial = shared.trials()[number]
    if trial.state.is_finished():
        return []
    return [Pruning(shared.trial(number), plan.metric, set(trial.intermediate_values))]
