"""Costs against torch.distributions: log p(x | z) = log_constant - cost, summed over an image."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Laplace, Normal

from aecore.errors import UserError
from aecore.model.noise.noises import GaussianNoise
from aecore.model.reconstruction.base import Reconstruction
from aecore.model.reconstruction.bernoulli import Bernoulli
from aecore.model.reconstruction.errors import MSE, L1Loss
from aecore.model.reconstruction.gaussian import GaussianLikelihood
from helpers.models import gen, images, mlp, model

SHAPE = (3, 4, 5)


def pair(n: int = 6) -> tuple[Tensor, Tensor]:
    """Raw outputs and images, (n, *SHAPE) float64."""
    output = torch.randn(n, *SHAPE, generator=gen(1), dtype=torch.float64)
    return output, images(n, *SHAPE, dtype=torch.float64)


def same(cost: Reconstruction, output: Tensor, x: Tensor, log_prob: Tensor, rtol: float) -> None:
    found = cost.log_constant(math.prod(SHAPE)) - cost.double()(output, x)
    assert found.shape == (len(x),)
    torch.testing.assert_close(found, log_prob.flatten(1).sum(1), rtol=rtol, atol=1e-12)


def bernoulli(targets: Any = "soft", threshold: float = 0.5) -> Bernoulli:
    return Bernoulli(targets=targets, threshold=threshold)


class TestLikelihoods:
    def test_bernoulli_of_binary_images(self) -> None:
        output, x = pair()
        binary = x.round()
        log_prob = TorchBernoulli(logits=output).log_prob(binary)
        same(bernoulli(), output, binary, log_prob, 1e-12)

    def test_bernoulli_of_grey_images_is_the_cross_entropy(self) -> None:
        output, x = pair()
        p = 1 / (1 + (-output).exp())
        same(bernoulli(), output, x, x * p.log() + (1 - x) * (1 - p).log(), 1e-12)

    def test_bernoulli_of_sure_logits(self) -> None:
        cost = bernoulli()(torch.tensor([[[[500.0, -500.0]]]]), torch.tensor([[[[1.0, 1.0]]]]))
        assert cost.tolist() == [500.0]

    def test_the_floor_of_grey_images_is_their_entropy(self) -> None:
        output, x = pair()
        floor = -(x * x.log() + (1 - x) * (1 - x).log()).flatten(1).sum(1)
        torch.testing.assert_close(bernoulli()(x.logit(), x), floor, rtol=1e-12, atol=0)
        for other in (output, x.logit() + 0.1, x.logit() - 0.1):
            assert bool((bernoulli()(other, x) > floor).all())

    @pytest.mark.parametrize("scale", [0.05, 1, 3.0])
    def test_gaussian(self, scale: float) -> None:
        output, x = pair()
        cost = GaussianLikelihood(scale=scale)
        same(cost, output, x, Normal(output, scale).log_prob(x), 1e-6)
        assert not [p for p in cost.parameters() if p.requires_grad]

    def test_learned_gaussian(self) -> None:
        output, x = pair()
        cost = GaussianLikelihood(scale="learned").double()
        same(cost, output, x, Normal(output, 1.0).log_prob(x), 1e-6)  # it starts from 1
        with torch.no_grad():
            cost.raw.fill_(6.0)
        scale = cost.log_scale.detach().exp()
        assert float(scale) == pytest.approx(math.exp(math.log1p(math.exp(6.0)) - 7), rel=1e-12)
        same(cost, output, x, Normal(output, scale).log_prob(x), 1e-12)

    def test_mse(self) -> None:
        output, x = pair()
        same(MSE(), output, x, Normal(output, math.sqrt(0.5)).log_prob(x), 1e-12)
        expected = [float(((a - b) ** 2).sum()) for a, b in zip(output, x, strict=True)]
        assert MSE()(output, x).tolist() == pytest.approx(expected, rel=1e-14)

    def test_l1(self) -> None:
        output, x = pair()
        same(L1Loss(), output, x, Laplace(output, torch.ones_like(x)).log_prob(x), 1e-12)
        expected = [float((a - b).abs().sum()) for a, b in zip(output, x, strict=True)]
        assert L1Loss()(output, x).tolist() == pytest.approx(expected, rel=1e-14)


class TestLearnedScale:
    def test_finds_the_root_mean_square_error(self) -> None:
        """Rybkin et al. 2021, eq. 5: the best scale is the RMSE."""
        output, x = pair(50)
        cost = GaussianLikelihood(scale="learned").double()
        optimizer = torch.optim.LBFGS(cost.parameters(), max_iter=50, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = cost(output, x).mean()
            loss.backward()
            return loss

        optimizer.step(closure)
        rmse = float((output - x).square().mean().sqrt())
        assert float(cost.log_scale.exp().detach()) == pytest.approx(rmse, rel=1e-5)

    def test_a_perfect_fit_stays_finite(self) -> None:
        cost = GaussianLikelihood(scale="learned")
        with torch.no_grad():
            cost.raw.fill_(-1000.0)
        x = images(2, *SHAPE)
        assert cost(x, x).isfinite().all() and cost(x + 1, x).isfinite().all()


class TestTargets:
    def test_soft(self) -> None:
        x = images(2, *SHAPE)
        assert torch.equal(bernoulli().target(x, gen()), x)
        assert torch.equal(MSE().target(x, gen()), x)

    @pytest.mark.parametrize("threshold", [0.0, 0.3, 1.0])
    def test_threshold(self, threshold: float) -> None:
        x = torch.tensor([0.0, 0.1, 0.3, 0.31, 0.9, 1.0], dtype=torch.float64).view(1, 1, 2, 3)
        x[0, 0, 0, 2] = threshold
        expected = [float(v > threshold) for v in x.flatten().tolist()]
        found = bernoulli("threshold", threshold).target(x, None)
        assert found.flatten().tolist() == expected and found.dtype == x.dtype

    def test_stochastic(self) -> None:
        x = torch.tensor([0.0, 0.2, 0.7, 1.0]).view(1, 1, 1, 4).expand(40_000, 1, 1, 4)
        cost = bernoulli("stochastic")
        found = cost.target(x, gen())
        assert torch.equal(found, found.round())
        shares = found.mean((0, 1, 2)).tolist()
        assert shares[0] == 0 and shares[3] == 1
        for share, p in zip(shares[1:3], (0.2, 0.7), strict=True):
            assert abs(share - p) < 4.5 * (p * (1 - p) / 40_000) ** 0.5
        assert torch.equal(found, cost.target(x, gen()))
        assert not torch.equal(found, cost.target(x, gen(1)))

    def test_a_model_sees_and_is_measured_by_binary_images(self) -> None:
        whole = model(reconstruction=bernoulli("threshold"))
        x = images(4, 1, 4, 4)
        p = whole.run(x, gen(), noisy=True, sample=True)
        assert torch.equal(p.x, (x > 0.5).float()) and torch.equal(p.x_in, p.x)
        value = whole.terms(x, gen(), epoch=0, noisy=True).values["reconstruction"]
        log_prob = TorchBernoulli(logits=p.output).log_prob((x > 0.5).float())
        torch.testing.assert_close(value, -log_prob.sum() / 4)

    def test_noise_comes_after_binarising(self) -> None:
        whole = model(reconstruction=bernoulli("stochastic"), noise=GaussianNoise(std=0.1))
        p = whole.run(images(4, 1, 4, 4), gen(), noisy=True, sample=True)
        assert torch.equal(p.x, p.x.round()) and not torch.equal(p.x_in, p.x_in.round())
        assert float((p.x_in - p.x).abs().max()) < 1


class TestImage:
    def test_bernoulli_answers_probabilities(self) -> None:
        whole = model(reconstruction=bernoulli())
        z = torch.randn(5, 3, generator=gen())
        assert torch.equal(whole.decode(z), whole.decoder(z).sigmoid())

    @pytest.mark.parametrize(
        "cost", [MSE(), L1Loss(), GaussianLikelihood(scale="learned")], ids=type
    )
    def test_others_answer_the_output(self, cost: Reconstruction) -> None:
        whole = model(reconstruction=cost)
        z = torch.randn(5, 3, generator=gen())
        assert torch.equal(whole.decode(z), whole.decoder(z))


class TestRefusals:
    @pytest.mark.parametrize("targets", ["soft", "threshold", "stochastic"])
    def test_standardised_bernoulli(self, targets: str) -> None:
        one = torch.ones(1, 1, 1)
        with pytest.raises(
            UserError, match=r"dataset\.range=standardised: reconstruction=bernoulli"
        ) as raised:
            model(reconstruction=bernoulli(targets), shift=0 * one, scale=one)
        assert "dataset.range=unit" in str(raised.value)

    @pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
    def test_bernoulli_after_an_activation(self, activation: str) -> None:
        with pytest.raises(UserError, match=f"network.output_activation={activation}") as raised:
            model(reconstruction=bernoulli(), network=mlp(4, output_activation=activation))
        assert "network.output_activation=null" in str(raised.value)

    def test_noise_that_only_training_would_see(self) -> None:
        with pytest.raises(UserError, match=r"use dataset\.binarise=threshold"):
            model(reconstruction=bernoulli("threshold"), noise=GaussianNoise(std=0.1))

    @pytest.mark.parametrize("cost", [MSE(), L1Loss(), GaussianLikelihood(scale=1.0)], ids=type)
    def test_others_take_both(self, cost: Reconstruction) -> None:
        one = torch.ones(1, 1, 1)
        whole = model(
            reconstruction=cost, shift=0 * one, scale=one, network=mlp(4, output_activation="tanh")
        )
        assert whole.reconstruct(images(2, 1, 4, 4)).shape == (2, 1, 4, 4)

    @pytest.mark.parametrize("scale", [0, -1.0, "learnt", True, None, float("nan")])
    def test_wrong_scales(self, scale: Any) -> None:
        with pytest.raises(ValidationError, match="scale"):
            GaussianLikelihood(scale=scale)

    @pytest.mark.parametrize(("targets", "threshold"), [("hard", 0.5), ("soft", 2)])
    def test_wrong_targets(self, targets: str, threshold: float) -> None:
        with pytest.raises(ValidationError):
            bernoulli(targets, threshold)
