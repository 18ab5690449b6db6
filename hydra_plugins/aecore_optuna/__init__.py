"""`hydra/sweeper=optuna`: Hydra takes plugin classes from the namespace `hydra_plugins` alone.

Hydra imports every plugin at every start, so nothing heavy is imported here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

ConfigStore.instance().store(
    group="hydra/sweeper",
    name="optuna",
    node={
        "_target_": "hydra_plugins.aecore_optuna.OptunaSweeper",
        "n_trials": 20,  # of the study in all, those before a resume and of other workers included
        "n_jobs": 1,  # trials handed to the launcher together
        "direction": None,  # minimize or maximize; None where the metric itself tells
        "storage": None,  # a database's URL; None for study.db in the folder of the search
        "study_name": None,  # what workers that share a storage have in common
        "sampler": "tpe",  # or random
        "pruner": "none",  # or median: ends a trial that is worse than half of those before
        "warmup": 5,  # epochs that every trial may train before the pruner looks at it
        "seed": 0,  # of the sampler; a trial's own seed is `seed`
        "params": {},  # the space, key: text in Hydra's grammar
    },
    provider="aecore",
)


class OptunaSweeper(Sweeper):
    """Hands the launcher that Hydra chose to the search whose plan lies in `hydra.sweep.dir`."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings  # checked when the search was planned

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Make the launcher."""
        self.config = config
        self.hydra_context = hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Run every trial that the plan still lacks.

        arguments: overrides of every job that the plan does not hold.
        """
        from aecore.sweeps.search.loop import run_trials

        assert self.config is not None and self.launcher is not None
        run_trials(Path(str(self.config.hydra.sweep.dir)), self.launcher, arguments)
