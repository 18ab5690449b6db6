"""The gradient penalty: the squared norm of the Jacobian of the decoder."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.model.passes import Model, Pass
from aecore.model.penalties.base import Penalty
from aecore.model.penalties.checks import no_batch_norm
from aecore.model.penalties.projections import estimated_norm


class GradientPenalty(Penalty):
    """||d image / d z||_F^2 at the code of each image, in pixels.

    The gradient penalty of a RAE-GP (Ghosh et al. 2020); it has a gradient for codes too, and needs
    another pass of the decoder.

    method: 'exact', one backward pass per code unit, or 'estimate', unbiased, from `samples`
    random projections: E ||J^T v||^2 = ||J||_F^2 for independent signs v (Hutchinson 1990).
    """

    method: Literal["exact", "estimate"]
    samples: PositiveInt

    @override
    def forward(self, p: Pass) -> Tensor:
        with torch.enable_grad():
            z = p.code.z if p.code.z.requires_grad else p.code.z.detach().requires_grad_()
            image = p.model.decode(z, p.code.context)
            if self.method == "exact":
                return exact_norm(image, z)
            return estimated_norm(z, image, self.samples, p.generator)

    @override
    def check(self, model: Model) -> None:
        no_batch_norm([model.decoder], "gradient", "image")


def exact_norm(image: Tensor, z: Tensor) -> Tensor:
    """Squared Frobenius norm of each image's Jacobian by its code, (N,).

    J^T u is linear in u, so its derivatives by u are the columns of J: one pass per code unit
    instead of one per pixel.
    """
    u = torch.zeros_like(image, requires_grad=True)
    (pulled,) = torch.autograd.grad(image, z, u, create_graph=True)
    total = image.new_zeros(len(image))
    for unit in pulled.flatten(1).unbind(1):
        (column,) = torch.autograd.grad(unit.sum(), u, create_graph=True)
        total = total + column.square().flatten(1).sum(1)
    return total
