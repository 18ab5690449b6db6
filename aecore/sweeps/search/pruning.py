"""The callback by which a search follows a trial, and ends a bad one early."""

from __future__ import annotations

from typing import Any

from optuna import Trial
from pytorch_lightning import Callback, LightningModule, Trainer
from typing_extensions import override

from aecore.errors import UserError
from aecore.runs.sweep import Sweep
from aecore.sweeps.search.settings import plan_of
from aecore.sweeps.search.study import STORAGE, opened
from aecore.training.module import Training

PRUNED = "pruned"  # the attribute of a trial that was ended early


class Pruning(Callback):
    """Reports a metric to the trial after each epoch and stops training when it is pruned.

    The run then ends as after early stopping, so the run folder is complete.

    metric: `val/...` or `train/...`, as in history.csv; others are not reported.
    """

    def __init__(self, trial: Trial, metric: str, reported: set[int]) -> None:
        self.trial = trial
        self.metric = metric
        self.reported = reported
        self.stopped = False

    @override
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

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"stopped": self.stopped}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.stopped = state_dict["stopped"]


def pruning(sweep: Sweep, number: int) -> list[Callback]:
    """The callback of a trial of a search that has not ended, by the number of the trial.

    Raises UserError where the storage of the search cannot be opened.
    """
    plan = plan_of(sweep)
    shared = opened(plan, sweep.folder)
    trials = shared.trials()
    if number >= len(trials):
        raise UserError(f"{plan.storage or sweep.folder / STORAGE}: it has no trial {number}")
    trial = trials[number]
    if trial.state.is_finished():
        return []
    return [Pruning(shared.trial(number), plan.metric, set(trial.intermediate_values))]
