"""Categorical posteriors against torch.distributions, and their relaxed draws."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical as TorchCategorical
from torch.distributions import OneHotCategorical, kl_divergence

from aecore.evaluation.metrics.perplexity import Perplexity
from aecore.model.latents.categorical import Categorical, Categories
from aecore.model.penalties.kl import KL
from aecore.model.priors.standard import Standard
from aecore.model.priors.uniform import UniformCategories
from helpers.models import gen, images, model
from helpers.trials import trial

DRAWS = 20_000


def posterior(n: int = 4, temperature: float | None = None, hard: bool = False) -> Categories:
    """Of 3 variables with 5 categories."""
    logits = 2 * torch.randn(n, 3, 5, generator=gen(), dtype=torch.float64)
    return Categories(logits, temperature, hard)


def many(temperature: float | None = None, hard: bool = False) -> Categories:
    """The same posterior again and again."""
    return Categories(posterior(1).logits.expand(DRAWS, 3, 5), temperature, hard)


def categorical(**changes: Any) -> Categorical:
    values: dict[str, Any] = {
        "variables": 3,
        "categories": 5,
        "temperature": 1.0,
        "temperature_end": 0.25,
        "epochs": 10.0,
        "hard": False,
    }
    return Categorical(**(values | changes))


def is_one_hot(z: Tensor) -> bool:
    parts = z.view(-1, 3, 5)
    return bool(((parts == 0) | (parts == 1)).all() and (parts.sum(2) == 1).all())


class TestCategories:
    def test_kl_is_that_of_torch(self) -> None:
        q = posterior()
        uniform = TorchCategorical(logits=torch.zeros_like(q.logits))
        expected = kl_divergence(TorchCategorical(logits=q.logits), uniform)
        torch.testing.assert_close(q.kl_standard(), expected, rtol=1e-12, atol=1e-14)
        same = Categories(torch.zeros_like(q.logits)).kl_standard()
        torch.testing.assert_close(same, torch.zeros_like(same))
        certain = Categories(1e4 * q.logits).kl_standard()
        torch.testing.assert_close(certain, torch.full_like(certain, math.log(5)))

    def test_kl_is_the_expected_log_ratio(self) -> None:
        q = many()
        z = q.sample(gen())
        ratio = q.log_prob(z) - UniformCategories(3, 5).log_prob(z)
        error = (ratio.mean(0) - q.kl_standard()[0]) / (ratio.std(0) / DRAWS**0.5)
        assert error.abs().max() < 4.5

    def test_log_prob_is_that_of_torch(self) -> None:
        q = posterior()
        z = q.sample(gen())
        expected = TorchCategorical(logits=q.logits).log_prob(z.view(-1, 3, 5).argmax(2))
        torch.testing.assert_close(q.log_prob(z), expected)
        pairs = q.log_prob(z.unsqueeze(1))
        assert pairs.shape == (4, 4, 3)
        torch.testing.assert_close(pairs[2, 1], Categories(q.logits[1:2]).log_prob(z[2:3])[0])

    @pytest.mark.parametrize("temperature", [None, 0.2, 3.0])
    @pytest.mark.parametrize("hard", [False, True])
    def test_frequencies(self, temperature: float | None, hard: bool) -> None:
        q = many(temperature, hard)
        z = q.sample(gen(1))
        assert is_one_hot(z) == (hard or temperature is None)
        torch.testing.assert_close(z.view(-1, 3, 5).sum(2), torch.ones(DRAWS, 3).double())
        chosen = torch.nn.functional.one_hot(z.view(-1, 3, 5).argmax(2), 5).double().flatten(1)
        error = (chosen.mean(0) - q.mean[0]) / (q.variance[0] / DRAWS).sqrt()
        assert error.abs().max() < 4.5

    def test_mean_and_variance_are_those_of_torch(self) -> None:
        q = posterior()
        expected = OneHotCategorical(logits=q.logits)
        torch.testing.assert_close(q.mean, expected.mean.flatten(1))
        torch.testing.assert_close(q.variance, expected.variance.flatten(1))

    def test_low_temperatures_are_nearly_one_hot(self) -> None:
        largest = [
            float(many(t).sample(gen()).view(-1, 3, 5).amax(2).mean()) for t in (5.0, 1.0, 0.01)
        ]
        assert largest == sorted(largest) and largest[0] < 0.5 and largest[2] > 0.98

    def test_rounded_draws_have_the_gradient_of_the_others(self) -> None:
        given = torch.randn(4, 15, generator=gen(2), dtype=torch.float64)
        found = []
        for hard in (False, True):
            logits = posterior().logits.requires_grad_()
            Categories(logits, 0.7, hard).sample(gen(1)).backward(given)
            found.append(logits.grad)
        assert found[0] is not None and found[0].abs().max() > 0
        torch.testing.assert_close(found[0], found[1])

    def test_the_generator_decides(self) -> None:
        q = posterior(temperature=1.0)
        draw = q.sample(gen(1))
        torch.manual_seed(5)
        assert torch.equal(draw, q.sample(gen(1)))
        assert not torch.equal(draw, q.sample(gen(2)))


class TestCategorical:
    def test_relaxed_in_training_and_exact_in_evaluation(self) -> None:
        whole = model(latent=categorical())
        x = images(6, 1, 4, 4)
        assert not is_one_hot(whole.encode(x, gen()).z)
        code = whole.eval().encode(x, gen())
        assert is_one_hot(code.z) and whole.code_shape == (15,)
        assert code.indices is not None
        assert torch.equal(code.indices, code.z.view(6, 3, 5).argmax(2))
        assert torch.equal(code.mean, code.posterior.mean)
        assert is_one_hot(model(latent=categorical(hard=True)).encode(x).mean)

    def test_rounded_means_have_the_gradient_of_the_probabilities(self) -> None:
        given = torch.randn(4, 15, generator=gen(2))
        found = []
        for hard in (False, True):
            whole = model(latent=categorical(hard=hard))
            code = whole.encode(images(4, 1, 4, 4))
            assert torch.equal(code.z, code.mean) and is_one_hot(code.z) == hard
            code.z.backward(given)
            found.append(whole.latent.project[1].weight.grad)
        assert found[0] is not None and found[0].abs().max() > 0
        torch.testing.assert_close(*found)

    def test_the_temperature_falls_evenly(self) -> None:
        latent = categorical()
        found = {}
        for epoch in (0.0, 5.0, 10.0, 99.0, math.inf):
            latent.set_epoch(epoch)
            found[epoch] = latent.current_temperature
        assert found == pytest.approx({0: 1, 5: 0.5, 10: 0.25, 99: 0.25, math.inf: 0.25})
        latent = categorical(epochs=0.0)
        latent.set_epoch(0.0)
        assert latent.current_temperature == 0.25

    def test_a_model_is_told_the_epoch(self) -> None:
        whole = model(latent=categorical())
        whole.terms(images(2, 1, 4, 4), gen(), epoch=5.0, noisy=True)
        assert whole.latent.current_temperature == pytest.approx(0.5)

    def test_the_standard_prior_is_uniform(self) -> None:
        whole = model(latent=categorical(), prior=Standard(), penalties={"kl": KL()})
        z = whole.prior_density.sample((DRAWS, 15), torch.zeros(1), gen())
        assert is_one_hot(z)
        assert (z.mean(0) - 0.2).abs().max() < 4.5 * (0.16 / DRAWS) ** 0.5
        torch.testing.assert_close(
            whole.prior_density.log_prob(z[:2]), torch.full((2, 3), -math.log(5.0))
        )
        assert whole.sample(2, gen()).shape == (2, 1, 4, 4)
        loss = whole.terms(images(6, 1, 4, 4), gen(), epoch=0.0, noisy=True).loss
        loss.backward()
        assert all(p.grad is not None and p.grad.abs().max() > 0 for p in whole.parameters())

    def test_nearest_are_mixtures_of_one_hots(self) -> None:
        latent = categorical()
        z = torch.tensor([[-1.0, 1.0, 1.0, 0.0, 2.0] * 3, [0.0, 0.0, 0.0, 3.0, 0.0] * 3])
        expected = [[0.0, 0.25, 0.25, 0.0, 0.5] * 3, [0.0, 0.0, 0.0, 1.0, 0.0] * 3]
        assert latent.nearest(z).tolist() == expected

    def test_perplexity_of_each_variable(self) -> None:
        whole = model(latent=categorical(variables=2, categories=4))
        layer = whole.latent.project[1]
        with torch.no_grad():
            layer.weight.zero_()
            layer.bias.copy_(torch.tensor([0.0, 9, 0, 0, 0, 0, 0, 9]))
            found = Perplexity()(trial(whole))
        # word 1 of the first variable and word 3 of the second are not two words of one
        assert found == pytest.approx({"perplexity": 1.0, "codes_used": 0.25, "code_bits": 4.0})
