"""Bounds from several codes an image, against a likelihood that is known and slow obvious ways."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from aecore.config.arguments import parse
from aecore.config.compose import compose
from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.model.latents.categorical import Categorical
from aecore.model.latents.flow import FlowLatent
from aecore.model.latents.hypersphere import Hypersphere
from aecore.model.networks.base import Network
from aecore.model.objectives.bounds import Bound, Ciwae, Dreg, Iwae, Miwae, Piwae
from aecore.model.objectives.elbo import Elbo
from aecore.model.objectives.importance import draw
from aecore.model.passes import Inputs, Pass
from aecore.model.penalties.base import Penalty
from aecore.model.penalties.capacity import Capacity
from aecore.model.penalties.free_bits import FreeBits
from aecore.model.penalties.kl import KL
from aecore.model.penalties.l2 import CodeL2
from aecore.model.penalties.total_correlation import TotalCorrelation
from aecore.model.priors.mixture import Mixture
from aecore.model.reconstruction.errors import MSE
from aecore.model.reconstruction.gaussian import GaussianLikelihood
from aecore.model.reconstruction.ssim import SSIM
from aecore.training.prepare import prepare
from aecore.training.setup import build_experiment
from helpers.evaluation import measured, split
from helpers.experiments import unpool
from helpers.linear_gaussian import exact_gaussian, pictures
from helpers.models import gaussian, gen, images, mlp, model, plain

SEVERAL = [
    Iwae(samples=5),
    Dreg(samples=5),
    Miwae(samples=5, bounds=2),
    Ciwae(samples=5, beta=0.3),
    Piwae(samples=5, bounds=2),
]


def value(whole: Autoencoder, objective: Bound, x: Tensor, seed: int = 0) -> Tensor:
    """The bound, the mean over images."""
    with torch.no_grad():
        terms = objective(whole, Inputs(x, gen(seed), False), {})
    return -terms.values[objective.term]


def gradients(whole: Autoencoder, objective: Bound, x: Tensor, seed: int) -> dict[str, Tensor]:
    """Of the loss, by parameter."""
    whole.zero_grad()
    weights = dict.fromkeys(whole.penalties, 1.0)
    objective(whole, Inputs(x, gen(seed), False), weights).loss.backward()  # type: ignore[no-untyped-call]
    return {n: p.grad.clone() for n, p in whole.named_parameters() if p.grad is not None}


def is_decoder(name: str) -> bool:
    return name.startswith("decoder")


class TestValue:
    @pytest.mark.parametrize("objective", SEVERAL, ids=lambda o: o.name)
    def test_of_the_exact_posterior_is_the_log_likelihood(self, objective: Bound) -> None:
        whole, rows = exact_gaussian(exact=True)
        x, log_p = pictures(rows), rows[:, 5]
        drawn = draw(whole, Inputs(x, gen(), False), samples=objective.samples)
        expected = log_p.expand_as(drawn.log_weights)
        torch.testing.assert_close(drawn.log_weights.detach(), expected, rtol=0, atol=1e-11)
        assert float(value(whole, objective, x)) == pytest.approx(float(log_p.mean()), abs=1e-11)

    @pytest.mark.parametrize("seed", range(3))
    def test_grows_with_the_samples_towards_the_log_likelihood(self, seed: int) -> None:
        whole, rows = exact_gaussian(seed)
        x, log_p = pictures(rows), float(rows[:, 5].mean())
        many = [float(value(whole, Iwae(samples=k), x)) for k in (1, 3, 10, 100, 600)]
        assert many == sorted(many)
        assert many[0] < log_p - 0.1
        assert abs(many[-1] - log_p) < 0.03 * (log_p - many[0])

    def test_of_one_draw_is_the_elbo_with_its_kl_drawn(self) -> None:
        whole = model(latent=gaussian(3), reconstruction=MSE(), penalties={"kl": KL()}).double()
        x = images(6, 1, 4, 4, dtype=torch.float64)
        p = whole.run(x, gen(1), noisy=False, sample=True)
        q = Normal(p.code.posterior.mean, p.code.posterior.variance.sqrt())  # type: ignore
        kl = (q.log_prob(p.code.z) - Normal(0, 1).log_prob(p.code.z)).sum(1)
        cost = whole.reconstruction(p.output, p.x) + 8 * math.log(math.pi)
        whole.penalty_modules.clear()
        terms = Iwae(samples=1)(whole, Inputs(x, gen(1), False), {})
        torch.testing.assert_close(terms.values["iwae"], (cost + kl).mean())
        elbo = Elbo()(whole, Inputs(x, gen(1), False), {})
        assert torch.equal(terms.values["reconstruction"], elbo.values["reconstruction"])

    @pytest.mark.parametrize("objective", SEVERAL, ids=lambda o: o.name)
    def test_of_a_single_image(self, objective: Bound) -> None:
        whole = model(latent=gaussian(3), reconstruction=GaussianLikelihood(scale=0.3)).double()
        x = images(1, 1, 4, 4, dtype=torch.float64)
        log_w = draw(whole, Inputs(x, gen(), False), samples=5).log_weights.detach()
        assert log_w.shape == (5, 1)
        least, most = float(log_w.mean()), float(log_w.max())
        assert least < float(value(whole, objective, x)) < most

    def test_formulas(self) -> None:
        whole, rows = exact_gaussian()
        x = pictures(rows)[:7]
        log_w = draw(whole, Inputs(x, gen(), False), samples=6).log_weights
        assert log_w.shape == (6, 7)
        found = value(whole, Miwae(samples=2, bounds=3), x)
        by_bound = [log_w[[m, m + 3]].exp().mean(0).log().mean() for m in range(3)]
        torch.testing.assert_close(found, torch.stack(by_bound).mean())
        tight = log_w.exp().mean(0).log().mean()
        torch.testing.assert_close(value(whole, Iwae(samples=6), x), tight)
        torch.testing.assert_close(value(whole, Dreg(samples=6), x), tight)
        torch.testing.assert_close(
            value(whole, Ciwae(samples=6, beta=0.3), x), 0.3 * log_w.mean() + 0.7 * tight
        )


class Brightness(Penalty):
    """The squares of the decoder's output."""

    def forward(self, p: Pass) -> Tensor:
        return p.output.flatten(1).square().sum(1)


def small(**build_experiment: Any) -> Autoencoder:
    values = {
        "network": mlp(4),
        "latent": gaussian(2),
        "reconstruction": GaussianLikelihood(scale=0.3),
    }
    return model(**(values | build_experiment)).double()


class TestGradient:
    def test_each_draw_counts_by_its_share(self) -> None:
        """Of log weights: shares of costs would favour the worst draw."""
        whole = small()
        x = images(3, 1, 4, 4, dtype=torch.float64)
        found = gradients(whole, Iwae(samples=4), x, seed=1)
        log_w = draw(whole, Inputs(x, gen(1), False), samples=4).log_weights
        share = log_w.detach().exp() / log_w.detach().exp().sum(0)
        assert float(share.max()) > 0.7  # or plain means would do
        for name, parameter in whole.named_parameters():
            if not parameter.requires_grad:
                continue
            slow = torch.zeros_like(parameter)
            for k, n in product(range(4), range(3)):
                (one,) = torch.autograd.grad(log_w[k, n], parameter, retain_graph=True)
                slow -= share[k, n] * one / 3
            torch.testing.assert_close(found[name], slow)

    def test_doubly_reparametrised_is_the_same_in_the_mean_with_less_noise(self) -> None:
        whole = small(seed=3)
        x = images(1, 1, 4, 4, dtype=torch.float64).expand(400, -1, -1, -1)
        found = {}
        for objective in (Iwae(samples=6), Dreg(samples=6)):
            rows = []
            for seed in range(40):
                every = gradients(whole, objective, x, seed)
                rows.append(torch.cat([g.flatten() for n, g in every.items() if not is_decoder(n)]))
            found[objective.name] = torch.stack(rows)
        plain, doubly = found["iwae"], found["dreg"]
        error = ((plain.var(0) + doubly.var(0)) / 40).sqrt()
        seen = error > 0
        assert int(seen.sum()) > 60
        apart = (plain.mean(0) - doubly.mean(0))[seen] / error[seen]
        assert float(apart.abs().max()) < 4.5
        assert float(doubly.var(0).sum()) < 0.5 * float(plain.var(0).sum())

    def test_doubly_reparametrised_leaves_the_decoder_its_gradient(self) -> None:
        whole = small()
        x = images(5, 1, 4, 4, dtype=torch.float64)
        plain = gradients(whole, Iwae(samples=6), x, seed=2)
        doubly = gradients(whole, Dreg(samples=6), x, seed=2)
        for name, gradient in plain.items():
            if is_decoder(name):
                torch.testing.assert_close(doubly[name], gradient)
            else:
                assert not torch.allclose(doubly[name], gradient)

    def test_each_side_has_a_bound_of_its_own(self) -> None:
        """The decoder's gradient is that of `iwae` of all samples, the encoder's of `miwae`."""
        whole = small(prior=Mixture(components=3), objective=Piwae(samples=3, bounds=2))
        x = images(5, 1, 4, 4, dtype=torch.float64)
        both = gradients(whole, Piwae(samples=3, bounds=2), x, seed=2)
        tight = gradients(whole, Iwae(samples=6), x, seed=2)
        clear = gradients(whole, Miwae(samples=3, bounds=2), x, seed=2)
        assert both.keys() == tight.keys()
        assert {"prior.means"} < both.keys()
        for name, gradient in both.items():
            generative = is_decoder(name) or name.startswith("prior")
            one, other = (tight, clear) if generative else (clear, tight)
            torch.testing.assert_close(gradient, one[name])
            assert not torch.allclose(gradient, other[name])
        assert all(p.requires_grad for p in whole.parameters())

    def test_doubly_reparametrised_of_the_exact_posterior_is_nothing(self) -> None:
        whole, rows = exact_gaussian(exact=True)
        x = pictures(rows)[:9]
        for objective, least, most in ((Iwae(samples=3), 0.01, 1e9), (Dreg(samples=3), 0, 1e-12)):
            found = gradients(whole, objective, x, seed=0)
            largest = max(float(g.abs().max()) for n, g in found.items() if not is_decoder(n))
            assert least <= largest <= most

    @pytest.mark.parametrize("penalty", [CodeL2(), Brightness()], ids=type)
    @pytest.mark.parametrize("objective", SEVERAL, ids=lambda o: o.name)
    def test_penalties_see_the_first_draw(self, objective: Bound, penalty: Penalty) -> None:
        bare, whole = small(), small(penalties={"p": penalty})
        x = images(5, 1, 4, 4, dtype=torch.float64)
        before = gradients(bare, objective, x, seed=4)
        after = gradients(whole, objective, x, seed=4)
        cost = penalty(whole.run(x, gen(4), noisy=False, sample=True)).mean()
        named = {n: p for n, p in whole.named_parameters() if p.requires_grad}
        own = torch.autograd.grad(cost, list(named.values()), allow_unused=True)
        for name, gradient in zip(named, own, strict=True):
            extra = torch.zeros_like(after[name]) if gradient is None else gradient
            torch.testing.assert_close(after[name], before[name] + extra)

    def test_a_latent_on_a_sphere(self) -> None:
        whole = small(latent=Hypersphere(dim=3))
        x = images(5, 1, 4, 4, dtype=torch.float64)
        for objective in (Iwae(samples=4), Dreg(samples=4)):
            found = gradients(whole, objective, x, seed=0)
            assert all(bool(g.isfinite().all()) for g in found.values())

    @pytest.mark.parametrize("objective", SEVERAL, ids=lambda o: o.name)
    def test_in_half_precision(self, objective: Bound) -> None:
        whole = small().float()
        x = images(64, 1, 4, 4)
        full = gradients(whole, objective, x, seed=1)
        with torch.autocast("cpu", torch.bfloat16):
            half = gradients(whole, objective, x, seed=1)
        one, other = (torch.cat([g.flatten() for g in found.values()]) for found in (full, half))
        assert float(torch.cosine_similarity(one, other, 0)) > 0.98


class TestTerms:
    @pytest.mark.parametrize("objective", SEVERAL, ids=lambda o: o.name)
    def test_the_bound_is_the_loss_but_for_penalties(self, objective: Bound) -> None:
        whole = small(penalties={"l2": CodeL2()})
        terms = objective(whole, Inputs(images(5, 1, 4, 4).double(), gen(), False), {"l2": 0.5})
        assert list(terms.values) == ["reconstruction", objective.term, "l2"]
        assert dict(terms.weights) == {"reconstruction": 0, objective.term: 1, "l2": 0.5}
        parts = terms.values[objective.term] + 0.5 * terms.values["l2"]
        torch.testing.assert_close(terms.loss, parts)

    def test_evaluation_keeps_the_elbo_of_one_draw(self) -> None:
        whole = model(latent=gaussian(3))
        before = measured(whole, split())
        whole.objective = Iwae(samples=7)
        after = measured(whole, split())
        assert after["test/elbo"] == before["test/elbo"] and after["test/kl"] == before["test/kl"]
        assert after["test/iwae"] == after["test/loss"] < -after["test/elbo"]

    @pytest.mark.parametrize("network", [mlp(4), unpool()], ids=type)
    def test_the_encoder_is_called_once(self, network: Network) -> None:
        whole = model(network=network, latent=gaussian(3))
        seen, decoded = [], []
        whole.encoder.register_forward_hook(lambda _, given, found: seen.append(len(given[0])))
        whole.decoder.register_forward_hook(lambda _, given, found: decoded.append(len(given[0])))
        Iwae(samples=7)(whole, Inputs(images(5, 1, 4, 4), gen(), False), {})
        assert seen == [5] and decoded == [35]


def categorical() -> Categorical:
    return Categorical(
        variables=2, categories=3, temperature=1.0, temperature_end=0.5, epochs=1, hard=False
    )


def total_correlation(alpha: float) -> TotalCorrelation:
    return TotalCorrelation(alpha=alpha, beta=3.0, gamma=0.0)


class TestRefusals:
    @pytest.mark.parametrize("objective", SEVERAL, ids=lambda o: o.name)
    @pytest.mark.parametrize(
        ("changed", "says"),
        [
            ({"latent": plain(3)}, "latent=gaussian"),
            ({"latent": categorical()}, "samples relaxations"),
            ({"reconstruction": SSIM(window=3)}, "no likelihood"),
            ({"penalties": {"kl": KL()}}, "penalty=none"),
            ({"penalties": {"capacity": Capacity(nats=1.0, epochs=0)}}, "penalty=capacity"),
            ({"penalties": {"free_bits": FreeBits(nats=1.0)}}, "penalty=free_bits"),
            ({"penalties": {"tc": total_correlation(1.0)}}, "penalty=tc"),
        ],
    )
    def test_words_that_do_not_go_together(
        self, objective: Bound, changed: dict[str, Any], says: str
    ) -> None:
        with pytest.raises(UserError, match=says) as raised:
            model(**({"latent": gaussian(3), "objective": objective} | changed))
        text = str(raised.value)
        assert text.startswith(f"objective={objective.name}") and text.count("\n") <= 2

    def test_a_density_that_cannot_be_followed(self) -> None:
        latent = FlowLatent(dim=3, transforms=1, hidden=[4], context=2)
        with pytest.raises(UserError, match=r"^objective=dreg: .*\n.*objective=iwae"):
            model(latent=latent, objective=Dreg(samples=2))

    def test_what_adds_to_a_kl_is_no_second_one(self) -> None:
        penalties = {"tc": total_correlation(0.0)}
        whole = model(latent=gaussian(3), objective=Iwae(samples=2), penalties=penalties)
        assert set(whole.penalties) == {"tc"}

    def test_nothing_is_missed_where_the_bound_holds_the_prior(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        common = ["latent=gaussian", "penalty=none", "reconstruction=mse", "figures=none"]
        prepare(build_experiment(compose(parse([*common, "objective=iwae"])).config))
        assert "penalty=none" not in caplog.text
        prepare(build_experiment(compose(parse([*common, "objective=elbo"])).config))
        assert "penalty=none" in caplog.text
