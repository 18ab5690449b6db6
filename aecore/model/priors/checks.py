"""The check of learned priors."""

from __future__ import annotations

from aecore.errors import UserError
from aecore.model.passes import Model
from aecore.model.priors.standard import Standard


def check_learned(model: Model, name: str, *, bounded: bool = False) -> None:
    """Raise UserError if a prior cannot be learned from the codes of the model.

    It needs posteriors, the KL in the loss and, unless `bounded`, codes of any value in R^dim.
    """
    if not model.latent.variational:
        raise UserError(
            f"prior={name}: it is learned from posteriors, and this latent has none",
            "use latent=gaussian, or fit a density to the codes after training: sampler=gmm",
        )
    if not (bounded or isinstance(model.latent.standard_prior(), Standard)):
        raise UserError(
            f"prior={name}: this latent's codes are bounded, but this prior is not",
            "use prior=standard, which is uniform for them, or latent=gaussian",
        )
    if not (model.objective.holds_prior or any(p.holds_prior for p in model.penalties.values())):
        raise UserError(
            f"prior={name}: it is learned by the KL, which is not part of this loss",
            "add penalty=kl, or use prior=standard",
        )
