"""Checks shared by learned priors."""

from __future__ import annotations

from aecore.errors import UserError
from aecore.model.passes import LatentProtocol, Model
from aecore.model.priors.standard import Standard


def need_latent_posterior(latent: LatentProtocol, name: str) -> None:
    """Raise UserError if the latent has no posterior."""
    if not latent.variational:
        raise UserError(
            f"prior={name}: it is learned from posteriors, and this latent has none",
            "use latent=gaussian, or fit a density to the codes after training: sampler=gmm",
        )


def need_unbounded(latent: LatentProtocol, name: str) -> None:
    """Raise UserError if codes are bounded, so that they have no density on R^dim."""
    if not isinstance(latent.standard_prior(), Standard):
        raise UserError(
            f"prior={name}: this latent's codes are bounded, but this prior is not",
            "use prior=standard, which is uniform for them, or latent=gaussian",
        )


def need_kl(model: Model, name: str) -> None:
    """Raise UserError if the loss does not contain the KL to the prior."""
    terms = [model.objective.holds_prior]
    terms += [penalty.holds_prior for penalty in model.penalties.values()]
    if not any(terms):
        raise UserError(
            f"prior={name}: it is learned by the KL, which is not part of this loss",
            "add penalty=kl, or use prior=standard",
        )
