"""`task=train`: train a model, evaluate it, draw its figures."""

from __future__ import annotations

from aecore.tasks.base import Request, Task
from aecore.training.experiment import run
from aecore.training.prepare import check_unused
from aecore.training.setup import build_experiment


class Train(Task):
    """One run, as `aecore.training.experiment` describes it."""

    def __call__(self, request: Request) -> dict[str, float]:
        """Train in the folder of the request; returns the test metrics."""
        experiment = build_experiment(request.config, request.secrets)
        if not (request.resumed or request.brief):  # checked when that run or sweep began
            check_unused(experiment.config)
        return run(
            experiment,
            request.folder,
            choices=request.choices,
            overrides=request.overrides,
            resumed=request.resumed,
            brief=request.brief,
            callbacks=request.callbacks,
        )
