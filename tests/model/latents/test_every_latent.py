"""What every latent says of itself, and the gradients of its densities."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from aecore.api.create import create
from aecore.config.folders import builtin_options
from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.model.codes import Pathwise
from aecore.model.latents.base import Latent
from aecore.model.module import leaves
from helpers.gradients import check_gradient
from helpers.models import conv, gen, images, model

KEYS: dict[str, dict[str, Any]] = {"categorical": {"epochs": 1}}


def made(option: str) -> Latent:
    latent: Latent = create(f"latent={option}", **KEYS.get(option, {}))
    return latent


def with_latent(option: str) -> Autoencoder:
    """A small model, of maps where the latent needs one."""
    try:
        return model(latent=made(option))
    except UserError:
        return model(latent=made(option), network=conv(2))


OPTIONS = sorted(builtin_options("latent"))


@pytest.mark.parametrize("option", OPTIONS)
def test_it_is_what_it_says(option: str) -> None:
    whole, x = with_latent(option).double().eval(), images(4, 1, 4, 4, dtype=torch.float64)
    latent, code = whole.latent, whole.encode(x)
    drawn = [whole.encode(x, gen(seed)) for seed in (1, 2)]
    assert latent.variational == (code.posterior is not None)
    assert latent.variational == (not torch.equal(drawn[0].z, drawn[1].z))
    assert (latent.codebook_size is None) == (code.indices is None)
    moved = whole.encode(x + 1e-9).mean
    assert latent.smooth == (not torch.equal(moved, code.mean))
    assert latent.pathwise == isinstance(code.posterior, Pathwise)
    if latent.layered:
        h, _ = whole.features(x)
        torch.testing.assert_close(nn.Sequential(*leaves(latent))(h), code.z)
    if latent.gaussian:
        at = code.posterior
        assert at is not None and at.kl_standard() is not None
        normal = Normal(at.mean, at.variance.sqrt())
        expected = kl_divergence(normal, Normal(torch.zeros(1).double(), torch.ones(1).double()))
        torch.testing.assert_close(at.kl_standard(), expected)


@pytest.mark.parametrize("option", OPTIONS)
def test_no_part_of_a_density_is_held_fixed(option: str) -> None:
    """By the weights that make the posterior, and by the code, where there is a posterior."""
    whole = with_latent(option).double().eval()
    if not whole.latent.variational:
        return
    x = images(4, 1, 4, 4, dtype=torch.float64)
    given = whole.encode(x, gen(1)).z.detach().flatten(1)
    given.requires_grad_(not whole.latent.relaxed)

    def part(name: str) -> Tensor | None:
        posterior = whole.encode(x).posterior
        assert posterior is not None
        return {
            "log_prob": posterior.log_prob(given),
            "mean": posterior.mean,
            "variance": posterior.variance,
            "kl": posterior.kl_standard(),
        }[name]

    for name in ("log_prob", "mean", "variance", "kl"):
        if part(name) is not None:
            check_gradient(partial(part, name), [given, *whole.parameters()])  # type: ignore[arg-type]


@pytest.mark.parametrize("option", OPTIONS)
def test_a_detached_density_is_a_function_of_the_code_alone(option: str) -> None:
    posterior = with_latent(option).encode(images(4, 1, 4, 4)).posterior
    if not isinstance(posterior, Pathwise):  # test_it_is_what_it_says compares it with the flag
        return
    z = posterior.sample(gen()).detach()
    fixed = posterior.detached()
    assert torch.equal(fixed.log_prob(z), posterior.log_prob(z))
    assert posterior.log_prob(z).requires_grad and not fixed.log_prob(z).requires_grad
    assert not fixed.mean.requires_grad and not fixed.variance.requires_grad


@pytest.mark.parametrize(
    ("option", "changes", "names"),
    [
        ("topk", {"restart_weight": 0.1}, {"restart"}),
        ("topk", {"restart_weight": 0.0}, set()),
        ("vq", {"update": "ema"}, {"commitment"}),
        ("vq", {"update": "gradient"}, {"commitment", "codebook"}),
        ("gaussian", {}, set()),
    ],
)
def test_costs_have_the_names_that_are_announced(
    option: str, changes: dict[str, Any], names: set[str]
) -> None:
    words = {"tokens": 2} if option == "vq" else {}
    latent = create(f"latent={option}", **words, **changes)
    whole = model(latent=latent)
    code = whole.run(images(4, 1, 4, 4), gen(), noisy=True, sample=True).code
    assert set(latent.cost_names) == set(code.costs) == names
