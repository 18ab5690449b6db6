"""One code per image: the loss of classic autoencoders, and the ELBO of VAEs."""

from __future__ import annotations

from collections.abc import Mapping

from typing_extensions import override

from aecore.model.objectives.base import Objective, Terms, critic_losses, term_costs
from aecore.model.passes import Inputs, Model


class Elbo(Objective):
    """reconstruction + costs of the latent + each penalty times its weight.

    With a variational latent, a likelihood and `kl` of weight 1 this is the negative ELBO
    (Kingma & Welling 2014, eq. 3) from one sample of z, up to the constant of the likelihood.
    """

    @override
    def __call__(self, model: Model, inputs: Inputs, weights: Mapping[str, float]) -> Terms:
        p = model.run(**inputs._asdict(), sample=True)
        values, factors = term_costs(p, weights)
        return Terms(
            {"reconstruction": model.reconstruction(p.output, p.x).mean(), **values},
            {"reconstruction": weights.get("reconstruction", 1.0), **factors},
            critic_losses(p, weights),
        )
