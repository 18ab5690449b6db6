"""The weight of a penalty, a pure function of training's progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from aecore.config.component import NonNegativeFloat, component
from aecore.errors import UserError, nearest
from aecore.model.penalties.base import Penalty

WEIGHT_KEYS = ("weight", "schedule", "warmup")  # of the node of a penalty


class Weight:
    """weight, and how it grows.

    schedule: 'constant'; 'linear' rises from 0 to the weight over `warmup` epochs and stays
    (Bowman et al. 2016); 'cyclic' does so again and again with period `warmup`, rising in the
    first half of each period and staying in the second (Fu et al. 2019).
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
        """The weight after that many (fractional) epochs; the full weight at infinity."""
        if self.schedule == "constant" or self.warmup == 0 or epoch == float("inf"):
            return self.weight
        if self.schedule == "linear":
            return self.weight * min(1.0, epoch / self.warmup)
        return self.weight * min(1.0, 2 * (epoch % self.warmup) / self.warmup)


@dataclass(frozen=True)
class Weighted:
    """A penalty with what it counts."""

    penalty: Penalty
    weight: Weight


def weighted_penalties(
    penalties: Mapping[str, Penalty | Weighted], weights: Mapping[str, Weight | float]
) -> dict[str, Weighted]:
    """Each penalty with its weight: the one given for its name, else its own, else 1.

    A number is a weight that stays. Raises UserError for a weight of no penalty, and for what is
    no mapping of names.
    """
    for said, names, one in (
        ("penalties", penalties, 'aecore.create("penalty=l1")'),
        ("weights", weights, "0.5"),
    ):
        if not isinstance(names, Mapping):
            hint = f'such as {said}={{"l1": {one}}}'
            raise UserError(f"{said}: must be a mapping of names", hint)
    for name in weights:
        if name not in penalties:
            raise UserError(f"weights: there is no penalty {name!r}{nearest(name, penalties)}")
    found = {}
    for name, given in penalties.items():
        own = given if isinstance(given, Weighted) else Weighted(given, _steady(1.0))
        weight = weights.get(name, own.weight)
        steady = weight if isinstance(weight, Weight) else _steady(weight)
        found[name] = Weighted(own.penalty, steady)
    return found


def _steady(weight: float) -> Weight:
    return Weight(weight=weight, schedule="constant", warmup=0.0)
