"""The ELBO with less variance."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.model.objectives.base import Terms
from aecore.model.objectives.elbo import Elbo
from aecore.model.passes import Inputs, Model


class Repeated(Elbo):
    """The mean of `draws` estimates of the ELBO, each with its own codes."""

    draws: PositiveInt

    @override
    def __call__(self, model: Model, inputs: Inputs, weights: Mapping[str, float]) -> Terms:
        one = super().__call__
        terms = [one(model, inputs, weights) for _ in range(self.draws)]
        values = {k: torch.stack([t.values[k] for t in terms]).mean() for k in terms[0].values}
        return Terms(values, terms[0].weights, terms[0].critics)
