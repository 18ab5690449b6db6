"""A mixture of Gaussians as prior."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.model.networks.base import flat
from aecore.model.passes import Model
from aecore.model.priors.base import Prior, Standalone
from aecore.model.priors.checks import check_learned
from aecore.types import Shape


class Mixture(Standalone):
    """p(z) = sum_k w_k N(z; mean_k, diag(exp(log_var_k))), with all parameters learned.

    Dilokthanakul et al. 2016; Tomczak & Welling 2018. Means are initialised by standard
    normal samples, variances by 1, weights equally.

    components: number of Gaussians.
    """

    no_temperature = None

    components: PositiveInt

    @override
    def attach(self, model: Model) -> Prior:
        self.means = nn.Parameter(torch.randn(self.components, flat(model.code_shape)))
        self.log_vars = nn.Parameter(torch.zeros_like(self.means))
        self.logits = nn.Parameter(torch.zeros(self.components))
        return self

    @override
    def check(self, model: Model) -> None:
        check_learned(model, "mixture")

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of all dimensions jointly, (N, 1)."""
        square = (z.unsqueeze(-2) - self.means).square() * (-self.log_vars).exp()
        each = -0.5 * (square + self.log_vars + math.log(2 * math.pi)).sum(-1)
        return (each + self.logits.log_softmax(0)).logsumexp(-1, keepdim=True)

    @torch.no_grad()
    @override
    def sample(
        self, shape: Shape, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor:
        chosen = torch.multinomial(self.logits.softmax(0), shape[0], True, generator=generator)
        means, spreads = self.means[chosen], temperature * (0.5 * self.log_vars[chosen]).exp()
        drawn = means + spreads * torch.empty_like(means).normal_(generator=generator)
        return drawn.to(like).view(shape)
