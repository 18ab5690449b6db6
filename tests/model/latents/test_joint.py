"""The joint code is the Gaussian one and the categorical one, side by side."""

from __future__ import annotations

import torch
from torch.distributions import Normal, OneHotCategorical

from aecore.api.create import create
from aecore.model.codes import posterior_of
from aecore.model.latents.joint import Joint
from helpers.models import gen, images, model

DIM, VARIABLES, CATEGORIES = 3, 2, 4


def joint() -> Joint:
    latent: Joint = create(
        "latent=joint", dim=DIM, variables=VARIABLES, categories=CATEGORIES, epochs=0.0
    )
    return latent


def test_density_and_kl_are_those_of_the_parts() -> None:
    whole = model(latent=joint()).double().eval()
    code = whole.encode(images(6, 1, 4, 4, dtype=torch.float64), gen())
    mean, rest = code.mean[:, :DIM], code.mean[:, DIM:].view(-1, VARIABLES, CATEGORIES)
    posterior = posterior_of(code)
    deviation = posterior.variance[:, :DIM].sqrt()
    normal, categories = Normal(mean, deviation), OneHotCategorical(probs=rest)
    z = code.z[:, :DIM], code.z[:, DIM:].view(-1, VARIABLES, CATEGORIES)
    expected = torch.cat([normal.log_prob(z[0]), categories.log_prob(z[1])], 1)
    torch.testing.assert_close(posterior.log_prob(code.z), expected)
    to_prior = [
        torch.distributions.kl_divergence(normal, Normal(torch.zeros(1), torch.ones(1))),
        torch.distributions.kl_divergence(
            categories, OneHotCategorical(logits=torch.zeros_like(rest))
        ),
    ]
    torch.testing.assert_close(whole.prior_density.kl(code), torch.cat(to_prior, 1))


def test_samples_of_the_prior_are_normal_and_one_hot() -> None:
    whole = model(latent=joint())
    z = whole.prior_density.sample((4000, *whole.code_shape), torch.zeros(1), gen())
    normal, rest = z[:, :DIM], z[:, DIM:].view(-1, VARIABLES, CATEGORIES)
    assert float(normal.mean().abs()) < 0.05 and abs(float(normal.std()) - 1) < 0.05
    assert bool((rest.sum(-1) == 1).all()) and bool(((rest == 0) | (rest == 1)).all())
    assert float((rest.mean(0) - 1 / CATEGORIES).abs().max()) < 0.05


def test_the_temperature_is_that_of_the_categories() -> None:
    whole = model(latent=create("latent=joint", epochs=10.0)).train()
    x, soft = images(8, 1, 4, 4), []
    for epoch in (0.0, 10.0):
        whole.latent.set_epoch(epoch)
        z = whole.run(x, gen(), noisy=False, sample=True).code.z
        soft.append(float(z[:, 10:].detach().view(8, 1, 10).amax(-1).mean()))
    assert soft[0] < soft[1] < 1
