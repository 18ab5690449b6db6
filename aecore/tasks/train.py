"""`task=train`: train a model, evaluate it, draw its figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from aecore.config.terminal import say
from aecore.tasks.base import Request, Task
from aecore.training.estimate import estimate
from aecore.training.experiment import run
from aecore.training.prepare import check_unused
from aecore.training.report import announce
from aecore.training.setup import Experiment, build_experiment


def dry_run(experiment: Experiment, choices: Mapping[str, Any]) -> dict[str, float]:
    """Print what a training would be and take, without training or writing anything."""
    estimated, model = estimate(experiment)
    say(announce(experiment, model, choices, None, None))
    say(f"  time     {estimated.duration} of training, from {estimated.timed} steps")
    say(f"  memory   {estimated.memory / 2**20:,.0f} MiB at most so far")
    say("dry run: nothing is trained or written")
    return {}


class Train(Task):
    """One run, as `aecore.training.experiment` describes it."""

    can_be_described: ClassVar[bool] = True

    def __call__(self, request: Request) -> dict[str, float]:
        """Train in the folder of the request; returns the test metrics."""
        experiment = build_experiment(request.config, request.secrets)
        if not (request.resumed or request.brief):  # checked when that run or sweep began
            check_unused(experiment.config)
        if experiment.config.dry_run:
            return dry_run(experiment, request.choices)
        return run(
            experiment,
            request.folder,
            choices=request.choices,
            overrides=request.overrides,
            resumed=request.resumed,
            brief=request.brief,
            callbacks=request.callbacks,
        )
