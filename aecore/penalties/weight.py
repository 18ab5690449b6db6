"""The weight of a penalty, a pure function of training's progress."""

from __future__ import annotations

from typing import Literal

from aecore.words import NonNegativeFloat, word


class Weight:
    """weight, and how it grows.

    schedule: 'constant'; 'linear' rises from 0 to the weight over `warmup` epochs and stays
    (Bowman et al. 2016); 'cyclic' does so again and again with period `warmup`, rising in the
    first half of each period and staying in the second (Fu et al. 2019).
    """

    @word
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
