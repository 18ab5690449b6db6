"""What learned priors refuse."""

from __future__ import annotations

from aecore.errors import UserError
from aecore.model.passes import LatentProtocol, Model
from aecore.model.priors.standard import Standard


def need_latent_posterior(latent: LatentProtocol, name: str) -> None:
    """Raise UserError where the latent has no posterior from which a prior could be learned."""
    if not latent.variational:
        raise UserError(
            f"prior={name}: it is learned from posteriors, and this latent has none",
            "use latent=gaussian, or fit a density to the codes after training: sampler=gmm",
        )


def need_all_of_space(latent: LatentProtocol, name: str) -> None:
    """Raise UserError where codes are bounded, so that a density on R^dim is none of them."""
    if not isinstance(latent.standard_prior(), Standard):
        raise UserError(
            f"prior={name}: this latent's codes are bounded, and that prior is not",
            "use prior=standard, which is uniform there, or latent=gaussian",
        )


def need_teacher(model: Model, name: str) -> None:
    """Raise UserError where nothing in the loss holds posteriors to the prior, nor it to them."""
    teachers = [model.objective.holds_prior]
    teachers += [penalty.holds_prior for penalty in model.penalties.values()]
    if not any(teachers):
        raise UserError(
            f"prior={name}: it is learned by the KL, which nothing charges here",
            "add penalty=kl, or use prior=standard",
        )
