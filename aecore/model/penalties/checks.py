"""What several penalties refuse."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from aecore.errors import UserError
from aecore.model.networks.base import flat
from aecore.model.passes import Model, ModuleProtocol


def need_posterior(model: Model, name: str) -> None:
    """Raise UserError where the latent has no posterior."""
    if not model.latent.variational:
        raise UserError(
            f"penalty={name}: this latent has no posterior to compare with the prior",
            "use latent=gaussian, or another penalty (penalty=mmd, penalty=l1)",
        )


def parts_of(model: Model) -> int:
    """How many parts of a code are independent where codes are as simple as can be."""
    code = torch.zeros(1, flat(model.code_shape))
    parts: int = model.latent.standard_prior().log_prob(code).shape[1]
    return parts


def need_parts(model: Model, name: str) -> None:
    """Raise UserError where a code of several numbers is one part, as a point on a sphere is."""
    if parts_of(model) < min(flat(model.code_shape), 2):
        raise UserError(
            f"penalty={name}: this latent's codes have no parts that could be independent",
            "use latent=gaussian, or penalty=kl",
        )


def no_batch_norm(parts: Iterable[ModuleProtocol], name: str, what: str) -> None:
    """Raise UserError where a part is batch-normalised: then no image has its own Jacobian.

    what: whose Jacobian, for the message.
    """
    modules = [module for part in parts for module in part.modules()]
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in modules):
        raise UserError(
            f"penalty={name} with network.norm=batch: a batch-normalised {what} depends on "
            "the other images, so it has no Jacobian of its own",
            "use network.norm=layer or network.norm=null",
        )
