"""Orthonormal rows of a linear encoder, as in principal component analysis."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from aecore.errors import ConfigError, UserError
from aecore.model.module import leaves
from aecore.model.networks.base import flat
from aecore.model.passes import Model, Pass
from aecore.model.penalties.base import Penalty, per_image


class Orthogonal(Penalty):
    """||W W^T - I||_F^2 of the matrix W (code units x pixels) of a linear encoder z = W x + b.

    Of several linear layers, W is the product. Orthonormal rows preserve lengths and angles within
    the subspace of the code (Baldi & Hornik 1989 for linear autoencoders). Equal for all images.
    """

    @override
    def forward(self, p: Pass) -> Tensor:
        matrices = _matrices(p.model)
        assert matrices is not None, "check() comes first"
        whole = matrices[0]
        for matrix in matrices[1:]:
            whole = matrix @ whole
        units = torch.eye(len(whole), dtype=whole.dtype, device=whole.device)
        return per_image((whole @ whole.T - units).square().sum(), p)

    @override
    def check(self, model: Model) -> None:
        matrices = _matrices(model)
        if matrices is None:
            raise UserError(
                "penalty=orthogonal: it needs an encoder that is one linear map",
                "use network=linear latent=deterministic latent.activation=null",
            )
        (units, _), (_, pixels) = matrices[-1].shape, matrices[0].shape
        if units > pixels:
            raise ConfigError(
                "latent.dim",
                units,
                f"penalty=orthogonal: {pixels} pixels have no {units} orthonormal directions",
                {"latent.dim": f"{pixels} or less"},
            )


def _matrices(model: Model) -> list[Tensor] | None:
    """The encoder's weights from pixels to code, in order; None if it has other layers."""
    if model.latent.variational:
        return None
    every = leaves(model.encoder, model.latent)
    layers = [m for m in every if not isinstance(m, nn.Flatten | nn.Sequential)]
    if not layers or not all(isinstance(m, nn.Linear) for m in layers):
        return None
    first, *others = [m.weight for m in layers if isinstance(m, nn.Linear)]
    return [first[:, : flat(model.image_shape)], *others]  # without those of the class
