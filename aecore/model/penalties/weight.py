"""The weight of a term as a function of the epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from aecore.config.component import Component, NonNegativeFloat
from aecore.errors import UserError, nearest
from aecore.model.penalties.base import Penalty

WEIGHT_KEYS = ("weight", "schedule", "warmup", "start")  # of the node of a term
Steps = Annotated[str, Field(pattern=r"^\d+ ?steps?$")]


class Weight(Component):
    """A weight and its schedule.

    schedule: 'constant'; 'linear' increases from 0 to the weight over `warmup` epochs
    (Bowman et al. 2016); 'cyclic' repeats this with period `warmup`, increasing in the first half
    of each period and constant in the second (Fu et al. 2019).
    start: the epoch from which the term counts, or a step ('500 steps'). Until then it is not
    computed, and its critic is not trained; schedules begin there.
    """

    weight: NonNegativeFloat
    schedule: Literal["constant", "linear", "cyclic"]
    warmup: NonNegativeFloat
    start: NonNegativeFloat | Steps = 0.0

    def __post_init__(self) -> None:
        self.start_epoch = math.inf if isinstance(self.start, str) else self.start

    def attach(self, steps_an_epoch: int) -> None:
        """Called before training: a start in steps becomes one in epochs."""
        if isinstance(self.start, str):
            self.start_epoch = int(self.start.partition("s")[0]) / steps_an_epoch

    def has_started(self, epoch: float) -> bool:
        """Whether the term counts after `epoch` (fractional) epochs."""
        return epoch >= self.start_epoch

    def at(self, epoch: float) -> float:
        """The weight after `epoch` (fractional) epochs; the full weight at infinity."""
        if not self.has_started(epoch):
            return 0.0
        if self.schedule == "constant" or self.warmup == 0 or epoch == math.inf:
            return self.weight
        epoch -= self.start_epoch
        if self.schedule == "linear":
            return self.weight * min(1.0, epoch / self.warmup)
        return self.weight * min(1.0, 2 * (epoch % self.warmup) / self.warmup)


@dataclass(frozen=True)
class Weighted:
    """A penalty with its weight."""

    penalty: Penalty
    weight: Weight


def weighted_penalties(
    penalties: Mapping[str, Penalty | Weighted], weights: Mapping[str, Weight | float]
) -> dict[str, Weighted]:
    """Each penalty with its weight: that of `weights`, else that of a `Weighted`, else 1.

    A number is a constant weight. `reconstruction` may be among the weights. Raises UserError for
    other weights without a penalty, and for arguments that are not mappings.
    """
    for argument, names, example in (
        ("penalties", penalties, 'aecore.create("penalty=l1")'),
        ("weights", weights, "0.5"),
    ):
        if not isinstance(names, Mapping):
            hint = f'such as {argument}={{"l1": {example}}}'
            raise UserError(f"{argument}: must be a mapping of names", hint)
    for name in weights:
        if name not in (*penalties, "reconstruction"):
            raise UserError(f"weights: there is no penalty {name!r}{nearest(name, penalties)}")
    result = {}
    for name, penalty in penalties.items():
        term = penalty if isinstance(penalty, Weighted) else Weighted(penalty, as_weight(1.0))
        weight = weights.get(name, term.weight)
        result[name] = Weighted(term.penalty, as_weight(weight))
    return result


def as_weight(weight: Weight | float) -> Weight:
    """A number as a constant weight."""
    if isinstance(weight, Weight):
        return weight
    return Weight(weight=weight, schedule="constant", warmup=0.0)
