"""`hydra.sweeper` as it was asked for, and the plan of a search as sweep.json remembers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

from hydra.types import RunMode
from omegaconf import OmegaConf
from optuna.distributions import BaseDistribution, json_to_distribution
from pydantic import field_validator

from aecore.config.arguments import Arguments
from aecore.config.build import validate
from aecore.config.component import NonNegativeInt, PositiveInt
from aecore.config.compose import composing, hydra_of
from aecore.config.overrides import Override, read
from aecore.config.schema import Node
from aecore.runs.recorded import job_lines
from aecore.runs.sweep import RECORD, Sweep
from aecore.sweeps.search.space import corners, overrides_of

_SWEEPER = "hydra/sweeper=optuna"
Direction = Literal["minimize", "maximize"]


class Settings(Node):
    """`hydra.sweeper`; what each key means stands beside its value in `hydra_plugins`."""

    n_trials: PositiveInt
    n_jobs: PositiveInt
    direction: Direction | None
    storage: str | None
    study_name: str | None
    sampler: Literal["tpe", "random"]
    pruner: Literal["none", "median"]
    warmup: NonNegativeInt
    seed: NonNegativeInt


class SearchPlan(Settings):
    """All that a search has to remember.

    metric: what it optimizes. owner: the mark of this worker's trials. fixed: overrides of every
    job. space: key -> Optuna's distribution as JSON.
    """

    metric: str
    owner: str
    fixed: list[str]
    space: dict[str, str]

    @field_validator("space")
    @classmethod
    def _distributions(cls, space: dict[str, str]) -> dict[str, str]:
        for key, text in space.items():
            try:
                json_to_distribution(text)
            except Exception as error:  # Optuna has no error for it
                raise ValueError(f"{key}: no distribution ({type(error).__name__})") from None
        return space

    @cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The space."""
        return {key: json_to_distribution(text) for key, text in self.space.items()}

    def job(self, values: Mapping[str, Any]) -> list[str]:
        """The overrides of a trial with those values; UserError for values that are none."""
        return job_lines([*self.fixed, *overrides_of(values)])


def settings_of(arguments: Arguments, overrides: Sequence[Override]) -> Settings:
    """`hydra.sweeper` of these overrides; raises UserError."""
    with composing(arguments, overrides), hydra_of(arguments) as hydra:
        config = hydra.compose_config(
            arguments.config_name, arguments.lines_of(overrides), run_mode=RunMode.MULTIRUN
        )
        node = OmegaConf.to_container(config.hydra.sweeper, resolve=True)
    assert isinstance(node, dict)
    keys = {str(k): v for k, v in node.items() if k not in ("_target_", "params")}
    return validate(Settings, keys, "hydra.sweeper")


def searching(lines: list[str]) -> list[str]:
    """Arguments with the sweeper of a search among them."""
    return lines if _SWEEPER in lines else [*lines, _SWEEPER]


def first_point(sweep: Sweep) -> tuple[Override, ...]:
    """The overrides of one point of a recorded search; UserError where the record is damaged."""
    return read(overrides_of(next(iter(corners(plan_of(sweep).distributions)))))


def plan_of(sweep: Sweep) -> SearchPlan:
    """The plan of a recorded search; UserError where the record is damaged."""
    assert sweep.search is not None
    return validate(SearchPlan, sweep.search, str(sweep.folder / RECORD))
