"""The ELBO with less variance."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Generator, Tensor
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.model.objectives.base import Terms
from aecore.model.objectives.elbo import Elbo
from aecore.model.passes import Model


class Repeated(Elbo):
    """The mean of `draws` estimates of the ELBO, each with its own codes."""

    draws: PositiveInt

    @override
    def __call__(
        self,
        model: Model,
        x: Tensor,
        generator: Generator | None,
        weights: Mapping[str, float],
        noisy: bool,
        y: Tensor | None = None,
        target: Tensor | None = None,
    ) -> Terms:
        one = super().__call__
        terms = [one(model, x, generator, weights, noisy, y, target) for _ in range(self.draws)]
        values = {k: torch.stack([t.values[k] for t in terms]).mean() for k in terms[0].values}
        return Terms(values, terms[0].weights, terms[0].critics)
