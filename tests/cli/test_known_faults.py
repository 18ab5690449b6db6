"""Faults that other libraries have had and that no other test here would notice."""

from __future__ import annotations

import torch

from aecore.config.arguments import parse
from aecore.config.compose import compose
from aecore.model.autoencoder import Autoencoder
from aecore.training.prepare import prepare
from aecore.training.setup import build_experiment
from helpers.models import gen


def made(*overrides: str) -> tuple[Autoencoder, torch.Tensor]:
    """The model of a command line with its first weights, and some digits."""
    parts = build_experiment(compose(parse([*overrides, "figures=none"])).config)
    return prepare(parts), parts.data.train.pixels(torch.arange(64))


def test_a_seed_of_zero_is_a_seed() -> None:
    """`if seed:` forgets it."""
    one, again, other = (made("seed=0")[0], made("seed=0")[0], made("seed=1")[0])
    for (name, a), b in zip(one.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b), name
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)


def test_the_default_vae_pays_for_its_code() -> None:
    """A capacity of 0 that clamps the KL leaves a VAE without one, and without its gradient."""
    model, x = made("model=vae")
    terms = model.terms(x, gen(), epoch=0.0, noisy=True)
    assert float(terms.values["kl"].detach()) > 0 and terms.weights["kl"] == 1
    projection = next(model.latent.parameters())
    (gradient,) = torch.autograd.grad(terms.values["kl"], projection)
    mean, log_var = gradient.chunk(2)
    assert mean.abs().max() > 0 and log_var.abs().max() > 0


def test_what_is_scored_does_not_change_from_call_to_call() -> None:
    """A score made from a drawn code does."""
    model, x = made("model=vae")
    model.eval()
    with torch.no_grad():
        assert torch.equal(model.reconstruct(x), model.reconstruct(x))


def test_validation_has_the_objective_of_training() -> None:
    """A KL weighted otherwise in validation chooses another model than the one that is trained."""
    model, x = made("model=beta_vae", "penalty.kl.weight=7")
    train = model.terms(x, gen(3), epoch=2.0, noisy=True)
    val = model.terms(x, gen(3), epoch=2.0, noisy=False)
    assert val.weights == train.weights and val.weights["kl"] == 7
    assert torch.equal(val.loss, train.loss)
