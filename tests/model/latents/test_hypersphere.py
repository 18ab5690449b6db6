"""The power spherical posterior against integrals, sampling and its uniform prior."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from aecore.evaluation.metrics.elbo import elbo_terms
from aecore.model.latents.hypersphere import Hypersphere, PowerSpherical
from aecore.model.penalties.kl import KL
from aecore.model.priors.standard import Standard
from aecore.model.priors.uniform import UniformSphere
from aecore.model.reconstruction.bernoulli import Bernoulli
from helpers.models import gen, images, model, weight

DIMS = [2, 3, 7]
DRAWS = 40_000


def posterior(dim: int, concentration: float, n: int = 1, seed: int = 0) -> PowerSpherical:
    mean = torch.randn(1, dim, generator=gen(seed), dtype=torch.float64)
    direction = (mean / mean.norm()).expand(n, dim)
    return PowerSpherical(direction, torch.full((n, 1), concentration, dtype=torch.float64))


def circle(n: int) -> Tensor:
    """Points all around the circle of radius sqrt(2), (n, 2)."""
    angle = torch.arange(n, dtype=torch.float64) * 2 * math.pi / n
    return math.sqrt(2) * torch.stack([angle.cos(), angle.sin()], 1)


def off(values: Tensor, expected: Any) -> float:
    """How many standard errors the mean over the first dimension is off, at most."""
    error = values.std(0) / len(values) ** 0.5
    return float(((values.mean(0) - expected) / error).abs().max())


class TestPowerSpherical:
    @pytest.mark.parametrize("concentration", [0.0, 0.7, 30.0])
    def test_density_on_a_circle(self, concentration: float) -> None:
        density = posterior(2, concentration).log_prob(circle(20_000)).exp()
        length = 2 * math.pi * math.sqrt(2)
        assert float(density.mean()) * length == pytest.approx(1, rel=1e-6)

    @pytest.mark.parametrize("dim", DIMS)
    @pytest.mark.parametrize("concentration", [0.5, 4.0])
    def test_density_is_normalised(self, dim: int, concentration: float) -> None:
        prior = UniformSphere(dim)
        z = prior.sample((DRAWS, dim), torch.zeros(1, dtype=torch.float64), gen())
        ratio = posterior(dim, concentration).log_prob(z) - prior.log_prob(z)
        assert off(ratio.exp(), 1) < 4.5

    @pytest.mark.parametrize("dim", DIMS)
    @pytest.mark.parametrize("concentration", [0.5, 4.0, 200.0])
    def test_draws(self, dim: int, concentration: float) -> None:
        q = posterior(dim, concentration, DRAWS)
        z = q.sample(gen(1))
        radius = math.sqrt(dim)
        torch.testing.assert_close(z.norm(dim=1), torch.full((DRAWS,), radius, dtype=z.dtype))
        assert off(z, q.mean[0]) < 4.5
        assert off((z - q.mean[0]).square(), q.variance[0]) < 4.5
        resultant = concentration / (concentration + dim - 1)
        assert float(q.mean[0].norm()) / radius == pytest.approx(resultant)

    @pytest.mark.parametrize("dim", DIMS)
    @pytest.mark.parametrize("concentration", [0.5, 4.0, 200.0])
    def test_kl_is_the_expected_log_ratio(self, dim: int, concentration: float) -> None:
        q = posterior(dim, concentration, DRAWS)
        z = q.sample(gen(2))
        ratio = q.log_prob(z) - UniformSphere(dim).log_prob(z)
        assert ratio.shape == (DRAWS, 1)
        assert off(ratio, q.kl_standard()[0]) < 4.5
        assert q.kl_standard().min() > 1e-3

    def test_kl_grows_from_zero(self) -> None:
        kl = [float(posterior(5, k).kl_standard()) for k in (0.0, 1e-3, 0.1, 1.0, 10.0, 1e3, 1e6)]
        assert kl[0] == pytest.approx(0, abs=1e-12)
        assert kl == sorted(kl) and 0 < kl[1] < 1e-6
        # the width across, in each of 4 directions, falls with the root of the concentration
        assert kl[6] - kl[5] == pytest.approx(2 * math.log(1e3), rel=1e-2)

    def test_in_single_precision_too(self) -> None:
        wide = posterior(9, 3e4)
        narrow = PowerSpherical(wide.direction.float(), wide.concentration.float())
        assert float(narrow.kl_standard()) == pytest.approx(float(wide.kl_standard()), rel=1e-5)

    def test_draws_are_reparametrised(self) -> None:
        """d/d concentration of E[z . direction] = r k / (k + dim - 1), by single draws."""
        q = posterior(4, 3.0, DRAWS)
        concentration = q.concentration.clone().requires_grad_()
        z = PowerSpherical(q.direction, concentration).sample(gen(3))
        ((z * q.direction).sum()).backward()
        assert concentration.grad is not None
        assert off(concentration.grad, 2 * 3 / (3 + 3) ** 2) < 4.5

    def test_the_direction_turns_the_draw(self) -> None:
        direction = posterior(4, 50.0).direction.clone().requires_grad_()
        z = PowerSpherical(direction, torch.full((1, 1), 50.0, dtype=torch.float64)).sample(gen())
        z.sum().backward()
        assert direction.grad is not None and direction.grad.abs().max() > 0.1

    def test_the_generator_decides(self) -> None:
        q = posterior(3, 2.0, 5)
        draw = q.sample(gen(1))
        torch.manual_seed(5)
        assert torch.equal(draw, q.sample(gen(1)))
        assert not torch.equal(draw, q.sample(gen(2)))

    def test_codes_under_other_posteriors(self) -> None:
        z = posterior(3, 2.0, 4).sample(gen())
        q = PowerSpherical(posterior(3, 2.0, 1, seed=8).direction.expand(2, 3), torch.ones(2, 1))
        pairs = q.log_prob(z.unsqueeze(1))
        assert pairs.shape == (4, 2, 1)
        torch.testing.assert_close(pairs[2, 1], q.log_prob(z[2:3])[0])


class TestHypersphere:
    def test_codes(self) -> None:
        whole = model(latent=Hypersphere(dim=5))
        h = whole.encoder(images(4, 1, 4, 4))
        still, draw = whole.latent(h, gen(), False), whole.latent(h, gen(), True)
        assert torch.equal(still.z, still.mean) and torch.equal(still.mean, draw.mean)
        assert torch.equal(draw.z, draw.posterior.sample(gen()))
        assert not torch.equal(draw.z, draw.mean)
        torch.testing.assert_close(still.mean.norm(dim=1), torch.full((4,), math.sqrt(5)))
        torch.testing.assert_close(whole.latent.nearest(3 * draw.z), draw.z)
        assert draw.posterior.concentration.min() > 1

    @pytest.mark.parametrize("raw", [-50.0, 0.0, 3.0])
    def test_the_concentration_is_never_below_one(self, raw: float) -> None:
        whole = model(latent=Hypersphere(dim=5))
        with torch.no_grad():
            whole.latent.project[1].weight.zero_()
            whole.latent.project[1].bias.fill_(raw)
        found = whole.encode(images(2, 1, 4, 4)).posterior.concentration
        torch.testing.assert_close(found, torch.full((2, 1), 1 + 5 * math.log1p(math.exp(raw))))

    def test_the_standard_prior_is_uniform(self) -> None:
        whole = model(latent=Hypersphere(dim=3), prior=Standard(), penalties={"kl": KL()})
        assert isinstance(whole.prior, UniformSphere)
        z = whole.prior_density.sample((DRAWS, 3), torch.zeros(1), gen())
        assert off(z, 0) < 4.5 and off(z.square(), 1) < 4.5
        area = 4 * math.pi * 3
        torch.testing.assert_close(
            whole.prior_density.log_prob(z[:2]), torch.full((2, 1), -math.log(area))
        )
        assert whole.sample(2, gen()).shape == (2, 1, 4, 4)

    def test_trains_and_has_an_elbo(self) -> None:
        whole = model(
            latent=Hypersphere(dim=3),
            penalties={"kl": KL()},
            weights={"kl": weight()},
            reconstruction=Bernoulli(targets="soft", threshold=0.5),
        )
        x = images(6, 1, 4, 4)
        terms = whole.terms(x, gen(), epoch=0.0, noisy=True)
        terms.loss.backward()
        assert all(p.grad is not None and p.grad.abs().max() > 0 for p in whole.parameters())
        log_likelihood, kl = elbo_terms(whole.eval(), x, gen())
        assert kl.shape == (6,) and kl.min() > 0
        assert (kl - log_likelihood).mean().item() == pytest.approx(terms.loss.item(), rel=1e-5)


def test_features_of_zeros_have_a_direction() -> None:
    whole = model(latent=Hypersphere(dim=4))
    h = torch.zeros(3, 6, requires_grad=True)
    with torch.no_grad():
        for parameter in whole.latent.parameters():
            if parameter.dim() == 1:
                parameter.zero_()
    code = whole.latent(h, None, False)
    torch.testing.assert_close(code.z.norm(dim=1), torch.full((3,), 2.0))
    code.z.sum().backward()
    assert h.grad is not None and bool((h.grad.abs() < 100).all())


def test_some_zeros_leave_the_direction_of_the_rest() -> None:
    latent = Hypersphere(dim=3)
    latent.attach((4,))
    latent.project = nn.Flatten()
    code = latent(torch.tensor([[0.0, 3.0, -4.0, 1.0]]), None, False)
    torch.testing.assert_close(code.z, 3**0.5 * torch.tensor([[0.0, 0.6, -0.8]]))
