"""The content of sweep.json, validated: what a sweep is resumed and compared from."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from aecore.config.component import NonNegativeInt, PositiveInt
from aecore.config.schema import Node
from aecore.config.tree import at
from aecore.runs.recorded import decides_launch, flags_of, job_lines, kept

RECORD = "sweep.json"
_OWN = {  # of the sweep itself
    RECORD, "summary.csv", "groups.csv", "summary.json", "report.html", "figures",
}  # fmt: skip
_LONGEST = 255  # bytes of a file name
Lines = Annotated[list[str], AfterValidator(job_lines)]

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
    fixed: Lines
    space: dict[str, str]

    @field_validator("space")
    @classmethod
    def _searchable(cls, space: dict[str, str]) -> dict[str, str]:
        for key, text in space.items():
            choices = at(json.loads(text), "attributes.choices")
            for value in ["0", *(choices if isinstance(choices, list) else ())]:
                job_lines([f"{key}={value}"])
        return space


class RecordedSweep(Node):
    """The keys of a record; see `aecore.runs.sweep.Sweep`."""

    format: int
    version: str = ""
    flags: Annotated[list[str], AfterValidator(flags_of)]
    overrides: list[str]
    jobs: list[Lines]
    unrecorded: list[str] = Field(default_factory=list)
    numbers: list[NonNegativeInt] | None = None
    names: list[str] | None = None
    search: RecordedSearch | None = None

    @model_validator(mode="after")
    def _launch(self) -> Self:
        self.overrides, others = kept(self.overrides, decides_launch)
        self.unrecorded = [*dict.fromkeys([*self.unrecorded, *others])]
        return self

    @model_validator(mode="after")
    def _places(self) -> Self:
        for key, places in {"numbers": self.numbers, "names": self.names}.items():
            if places is not None and len(places) != len(self.jobs):
                raise ValueError(f"{key} is not a list of one for each job")
            if (wrong := unusable([*map(str, places or ())])) is not None:
                raise ValueError(wrong)
        return self


def unusable(names: Sequence[str]) -> str | None:
    """Why the jobs of a sweep cannot have folders of these names below its own; None if they can.

    They lie one or two levels below it, all equally deep so that none is within another.
    """
    for name in names:
        parts = name.split("/")
        problem = "more than two levels" if len(parts) > 2 else None
        problem = next(filter(None, map(_unusable, parts)), problem)
        if problem is None and parts[0] in _OWN:
            problem = "a file of the sweep has that name"
        if problem is not None:
            return f"{name!r}: {problem}"
    name, count = max(Counter(names).items(), key=itemgetter(1), default=("", 0))
    if count > 1:
        return f"{name!r}: {count} jobs would have the same folder"
    deep = {name.count("/") for name in names}
    return "some jobs one level deep, others two" if len(deep) > 1 else None


def _unusable(part: str) -> str | None:
    """Why no folder can have a name; hidden ones are not looked into."""
    if not part.strip():
        return "must be a relative path without an empty part"
    if part.startswith("."):
        return "no part may begin with '.'"
    if not part.isprintable() or set("\\$") & set(part):
        return "has a character that is not allowed in names"
    if len(os.fsencode(part)) > _LONGEST:
        return f"longer than {_LONGEST} bytes"
    return None
