"""The evidence lower bound of images."""

from __future__ import annotations

from torch import Generator, Tensor

from aecore.model.autoencoder import Autoencoder

ELBO_STREAM = 1  # added to a seed: the codes of `test/elbo` are drawn from a separate stream


def has_elbo(model: Autoencoder) -> bool:
    """Whether the model has an ELBO: a posterior and a likelihood."""
    return model.latent.variational and model.has_likelihood


def elbo_terms(
    model: Autoencoder,
    x: Tensor,
    generator: Generator,
    y: Tensor | None = None,
    target: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """`log` p(x | z) for one drawn z, and KL(q(z | x) || p(z)), in nats, each (N,).

    y: labels (N,), for a class-conditional model. target: in place of x in p(x | z), as x.
    """
    p = model.run(x, generator, noisy=False, sample=True, y=y, target=target)
    constant = model.reconstruction.log_constant(p.x[0].numel())
    return constant - model.reconstruction(p.output, p.x), model.prior_density.kl(p.code).sum(1)
