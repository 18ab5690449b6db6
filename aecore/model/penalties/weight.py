"""The weight of a penalty as a function of the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from aecore.config.component import NonNegativeFloat, component
from aecore.errors import UserError, nearest
from aecore.model.penalties.base import Penalty

WEIGHT_KEYS = ("weight", "schedule", "warmup")  # of the node of a penalty


class Weight:
    """A weight and its schedule.

    schedule: 'constant'; 'linear' increases from 0 to the weight over `warmup` epochs
    (Bowman et al. 2016); 'cyclic' repeats this with period `warmup`, increasing in the first half
    of each period and constant in the second (Fu et al. 2019).
    """

    @component
    def __init__(
        self,
        *,
        weight: NonNegativeFloat,
        schedule: Literal["constant", "linear", "cyclic"],
        warmup: NonNegativeFloat,
    ) -> None:
        self.weight = weight
        self.schedule = schedule
        self.warmup = warmup

    def at(self, epoch: float) -> float:
        """The weight after `epoch` (fractional) epochs; the full weight at infinity."""
        if self.schedule == "constant" or self.warmup == 0 or epoch == float("inf"):
            return self.weight
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

    A number is a constant weight. Raises UserError for a weight without a penalty, and for
    arguments that are not mappings.
    """
    for argument, names, example in (
        ("penalties", penalties, 'aecore.create("penalty=l1")'),
        ("weights", weights, "0.5"),
    ):
        if not isinstance(names, Mapping):
            hint = f'such as {argument}={{"l1": {example}}}'
            raise UserError(f"{argument}: must be a mapping of names", hint)
    for name in weights:
        if name not in penalties:
            raise UserError(f"weights: there is no penalty {name!r}{nearest(name, penalties)}")
    result = {}
    for name, penalty in penalties.items():
        term = penalty if isinstance(penalty, Weighted) else Weighted(penalty, _constant(1.0))
        weight = weights.get(name, term.weight)
        schedule = weight if isinstance(weight, Weight) else _constant(weight)
        result[name] = Weighted(term.penalty, schedule)
    return result


def _constant(weight: float) -> Weight:
    return Weight(weight=weight, schedule="constant", warmup=0.0)
