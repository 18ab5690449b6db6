"""Sparse codes by a target of the mean activity of each unit."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from aecore.errors import UserError
from aecore.model.codes import at_least_float32
from aecore.model.module import leaves
from aecore.model.passes import Model, Pass
from aecore.model.penalties.base import Penalty, per_image


class KLSparsity(Penalty):
    """sum_j KL(Bernoulli(rho) || Bernoulli(mean_n z_nj)), nats: units are active a share rho.

    Ng 2011, "Sparse autoencoder" (CS294A lecture notes), section 3; the mean is that of the batch.
    Codes must lie between 0 and 1: the latent has to end in a sigmoid.
    """

    rho: Annotated[float, Field(gt=0, lt=1)]

    @override
    def forward(self, p: Pass) -> Tensor:
        z = at_least_float32(p.code.z).flatten(1)
        smallest = torch.finfo(z.dtype).eps  # a unit that is never active must have a finite cost
        active = z.mean(0).clamp(smallest, 1 - smallest)
        target = torch.full_like(active, self.rho)
        kl = target * (target / active).log() + (1 - target) * ((1 - target) / (1 - active)).log()
        return per_image(kl.sum(), p)

    @override
    def check(self, model: Model) -> None:
        layers = leaves(model.latent)
        if model.latent.variational or not (layers and isinstance(layers[-1], nn.Sigmoid)):
            raise UserError(
                "penalty=kl_sparsity: it needs codes between 0 and 1",
                "use latent=deterministic latent.activation=sigmoid, or penalty=l1",
            )
