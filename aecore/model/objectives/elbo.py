"""One code an image: every classic autoencoder, and the VAE's evidence lower bound."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Generator, Tensor
from typing_extensions import override

from aecore.config.component import component
from aecore.model.objectives.base import Objective, Terms, charges, critic_losses
from aecore.model.passes import Model


class Elbo(Objective):
    """reconstruction + the latent's own costs + each penalty times its weight.

    With a latent that has a posterior, a likelihood and `kl` of weight 1 this is minus the ELBO
    (Kingma & Welling 2014, eq. 3) from one draw of z, but for the likelihood's constant.
    """

    @component
    def __init__(self) -> None: ...

    @override
    def __call__(
        self,
        model: Model,
        x: Tensor,
        generator: Generator | None,
        weights: Mapping[str, float],
        noisy: bool,
        y: Tensor | None = None,
    ) -> Terms:
        p = model.run(x, generator, noisy=noisy, sample=True, y=y)
        values, factors = charges(p, weights)
        return Terms(
            {"reconstruction": model.reconstruction(p.output, p.x).mean(), **values},
            {"reconstruction": 1.0, **factors},
            critic_losses(p),
        )
