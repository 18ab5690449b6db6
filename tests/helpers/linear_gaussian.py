"""A linear Gaussian VAE, whose likelihood is known."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from aecore.model.autoencoder import Autoencoder
from aecore.model.reconstruction.gaussian import GaussianLikelihood
from helpers.models import gaussian, gen, linear, model

DIM, SCALE = 2, 0.5


def exact_gaussian(
    seed: int = 0, exact: bool = False, images: int = 400, **words: Any
) -> tuple[Autoencoder, Tensor]:
    """A model of (1, 1, 5) with 2 codes, float64; images it draws, (N, 5), and their log p(x).

    x = W z + b + 0.5 eps, so p(x) = N(b, W W^T + 0.25 I). With `exact`, the encoder's mean is
    that of the true posterior and W has orthogonal columns, so that its covariance is diagonal.
    """
    whole = model(
        seed=seed,
        image_shape=(1, 1, 5),
        network=linear(),
        latent=gaussian(DIM),
        reconstruction=GaussianLikelihood(scale=SCALE),
        **words,
    ).double()
    layer = whole.decoder[1]
    project = whole.latent.project[1]
    assert isinstance(layer, nn.Linear) and isinstance(project, nn.Linear)
    with torch.no_grad():
        whole.reconstruction.raw.fill_(math.log(SCALE))  # not rounded to single precision
        if exact:
            layer.weight.copy_(torch.linalg.qr(layer.weight)[0] * torch.tensor([1.5, 0.7]))
            precision = layer.weight.square().sum(0) / SCALE**2 + 1
            to_mean = layer.weight.T / SCALE**2 / precision[:, None]
            project.weight.copy_(torch.cat([to_mean, torch.zeros(DIM, 5)]))
            raw = 10 * torch.atanh(-precision.log() / 10)
            project.bias.copy_(torch.cat([-to_mean @ layer.bias, raw]))
        noise = SCALE**2 * torch.eye(5, dtype=torch.float64)
        marginal = MultivariateNormal(layer.bias, layer.weight @ layer.weight.T + noise)
        z, eps = (torch.randn(images, k, generator=gen(k), dtype=torch.float64) for k in (DIM, 5))
        x = z @ layer.weight.T + layer.bias + SCALE * eps
        return whole, torch.cat([x, marginal.log_prob(x)[:, None]], 1)


def pictures(rows: Tensor) -> Tensor:
    """The images in those rows, (N, 1, 1, 5)."""
    return rows[:, :5].reshape(-1, 1, 1, 5)
