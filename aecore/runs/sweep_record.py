"""The content of sweep.json, validated: what a sweep is resumed and compared from."""

from __future__ import annotations

import json
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from aecore.config.component import NonNegativeInt, PositiveInt
from aecore.config.schema import Node
from aecore.config.secret import at
from aecore.errors import UserError
from aecore.runs.recorded import check_flags, decides_launch, job_lines, kept

Direction = Literal["minimize", "maximize"]


class SearchSettings(Node):
    """`hydra.sweeper`; what each key means stands beside its value in `conf/hydra/sweeper`."""

    n_trials: PositiveInt
    n_jobs: PositiveInt
    direction: Direction | None
    storage: str | None
    study_name: str | None
    sampler: Literal["tpe", "random"]
    pruner: Literal["none", "median"]
    warmup: NonNegativeInt
    seed: NonNegativeInt


class RecordedSearch(SearchSettings):
    """The plan of a search; `aecore.sweeps.search` validates its space further.

    metric: what it optimizes. owner: the mark of this worker's trials. fixed: overrides of every
    job. space: key -> Optuna's distribution as JSON.
    """

    metric: str
    owner: str
    fixed: list[str]
    space: dict[str, str]

    @field_validator("fixed")
    @classmethod
    def _plain(cls, lines: list[str]) -> list[str]:
        return _as_values(lines)

    @field_validator("space")
    @classmethod
    def _searchable(cls, space: dict[str, str]) -> dict[str, str]:
        for key, text in space.items():
            choices = at(json.loads(text), "attributes.choices")
            for value in ["0", *(choices if isinstance(choices, list) else ())]:
                _as_values([f"{key}={value}"])
        return space


class RecordedSweep(Node):
    """The keys of a record; see `aecore.runs.sweep.Sweep`."""

    format: int
    version: str = ""
    flags: list[str]
    overrides: list[str]
    jobs: list[list[str]]
    unrecorded: list[str] = Field(default_factory=list)
    numbers: list[NonNegativeInt] | None = None
    names: list[str] | None = None
    search: RecordedSearch | None = None

    @field_validator("flags")
    @classmethod
    def _known(cls, flags: list[str]) -> list[str]:
        check_flags(flags)
        return flags

    @field_validator("jobs")
    @classmethod
    def _jobs(cls, jobs: list[list[str]]) -> list[list[str]]:
        return [_as_values(job) for job in jobs]

    @model_validator(mode="after")
    def _launch(self) -> Self:
        try:
            self.overrides, others = kept(self.overrides, decides_launch)
        except UserError as error:
            raise ValueError(error.summary) from error
        self.unrecorded = [*dict.fromkeys([*self.unrecorded, *others])]
        return self


def _as_values(lines: list[str]) -> list[str]:
    """The overrides of a job; ValueError for one that a record may not hold."""
    try:
        return job_lines(lines)
    except UserError as error:
        raise ValueError(error.summary) from error
