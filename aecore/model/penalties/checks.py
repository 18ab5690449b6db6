"""Checks shared by several penalties."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from aecore.errors import UserError
from aecore.model.networks.base import flat
from aecore.model.passes import Model


def need_posterior(model: Model, name: str) -> None:
    """Raise UserError if the latent has no posterior."""
    if not model.latent.variational:
        raise UserError(
            f"penalty={name}: this latent has no posterior to compare with the prior",
            "use latent=gaussian, or another penalty (penalty=mmd, penalty=l1)",
        )


def parts_of(model: Model) -> int:
    """Number of independent parts of a code under the standard prior."""
    code = torch.zeros(1, flat(model.code_shape))
    parts: int = model.latent.standard_prior().log_prob(code).shape[1]
    return parts


def need_parts(model: Model, name: str) -> None:
    """Raise UserError if a code of several dimensions is a single part, as on a sphere."""
    if parts_of(model) < min(flat(model.code_shape), 2):
        raise UserError(
            f"penalty={name}: this latent's codes have no independent parts",
            "use latent=gaussian, or penalty=kl",
        )


def no_batch_norm(parts: Iterable[nn.Module], name: str, what: str) -> None:
    """Raise UserError for batch normalisation, with which images have no separate Jacobians.

    what: whose Jacobian, for the message.
    """
    modules = [module for part in parts for module in part.modules()]
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in modules):
        raise UserError(
            f"penalty={name} with network.norm=batch: a batch-normalised {what} depends on "
            "the other images, so images have no separate Jacobians",
            "use network.norm=layer or network.norm=null",
        )
