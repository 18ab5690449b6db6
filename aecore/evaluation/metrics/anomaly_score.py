"""How anomalous an image is to a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Generator, Tensor

from aecore.errors import ConfigError
from aecore.evaluation.metrics.elbo import elbo_terms, has_elbo
from aecore.evaluation.metrics.images import squared_error
from aecore.model.autoencoder import Autoencoder

By = Literal["error", "elbo"]
Scorer = Callable[[Tensor, Tensor | None], Tensor]


def scorer(model: Autoencoder, by: By, generator: Generator) -> Scorer:
    """The function of pixels (n, C, H, W) on the model's device and labels (n,) to scores (n,).

    Larger is more anomalous. "error": the mean squared error per pixel of the reconstruction.
    "elbo": minus the ELBO in nats, its code drawn once from the generator, batch after batch.
    Raises ConfigError where the model has no ELBO.
    """

    def error(x: Tensor, y: Tensor | None) -> Tensor:
        return squared_error(model.reconstruct(x, y), x)

    def minus_elbo(x: Tensor, y: Tensor | None) -> Tensor:
        log_likelihood, kl = elbo_terms(model, x, generator, y)
        return kl - log_likelihood

    if by == "error":
        return error
    if not has_elbo(model):
        raise ConfigError("by", "elbo", "this model has no likelihood", {"by": "error"})
    return minus_elbo
