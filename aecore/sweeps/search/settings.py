"""`hydra.sweeper` as it was asked for, and the plan of a search as sweep.json remembers it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from optuna.distributions import BaseDistribution, json_to_distribution
from pydantic import field_validator

from aecore.config.build import validate
from aecore.config.overrides import SWEEPER, Override
from aecore.runs.recorded import job_lines
from aecore.runs.sweep import Sweep
from aecore.runs.sweep_record import RECORD, RecordedSearch, SearchSettings
from aecore.sweeps.search.space import overrides_of

_FILE = re.compile(r"(sqlite[^:]*:///)(.+)")


def absolute(url: str) -> str:
    """The URL with the whole path, where it names a file."""
    match = _FILE.fullmatch(url)
    return url if match is None else f"{match[1]}{Path(match[2]).absolute()}"


class SearchPlan(RecordedSearch):
    """All that a search has to remember."""

    @field_validator("storage")
    @classmethod
    def _absolute(cls, url: str | None) -> str | None:
        return None if url is None else absolute(url)

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


def settings_of(whole: DictConfig) -> SearchSettings:
    """`hydra.sweeper` of a composed configuration; raises UserError."""
    node = OmegaConf.to_container(whole.hydra.sweeper, resolve=True)
    assert isinstance(node, dict)
    return validate(SearchSettings, {str(k): v for k, v in node.items() if k != "params"}, SWEEPER)


def changed(plan: SearchPlan, overrides: Sequence[Override]) -> SearchPlan:
    """A plan with those settings of `hydra.sweeper` that are given now; raises UserError."""
    given = {o.key.rpartition(".")[2]: o.value for o in overrides if o.is_below(SWEEPER)}
    return validate(SearchPlan, plan.model_dump() | given, SWEEPER)


def plan_of(sweep: Sweep) -> SearchPlan:
    """The plan of a recorded search; UserError where the record is damaged."""
    assert sweep.search is not None
    return validate(SearchPlan, sweep.search, str(sweep.folder / RECORD))
