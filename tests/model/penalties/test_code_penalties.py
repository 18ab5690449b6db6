"""Penalties on all codes together: their distance to the prior, their covariance, their share."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.distributions import Bernoulli, kl_divergence

from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.model.codes import Code
from aecore.model.latents.base import Latent
from aecore.model.latents.deterministic import Spatial
from aecore.model.latents.gaussian import DiagonalGaussian
from aecore.model.latents.hypersphere import Hypersphere
from aecore.model.passes import Pass
from aecore.model.penalties.base import Penalty
from aecore.model.penalties.dip import DIP, covariance
from aecore.model.penalties.distances import Kernel, mmd, sliced_wasserstein
from aecore.model.penalties.kl_sparsity import KLSparsity
from aecore.model.penalties.l2 import CodeL2
from aecore.model.penalties.mmd import MMD
from aecore.model.penalties.sliced_wasserstein import SlicedWasserstein
from helpers.models import conv, gaussian, gen, images, mlp, model, plain
from helpers.passes import passed, same

SCALES = [0.2, 1.0, 5.0]


def normal(n: int, dim: int, seed: int = 0) -> Tensor:
    return torch.randn(n, dim, generator=gen(seed), dtype=torch.float64)


def with_codes(z: Tensor, whole: Autoencoder | None = None, log_var: Tensor | None = None) -> Pass:
    """A pass of which only the codes matter."""
    whole = model(latent=plain(z.shape[1])).double() if whole is None else whole
    posterior = None if log_var is None else DiagonalGaussian(z, log_var)
    nothing = torch.zeros(len(z), 1, 4, 4, dtype=z.dtype)
    return Pass(nothing, nothing, nothing, Code(z, z, posterior), nothing, whole, gen(9))


def slow_mmd(a: Tensor, b: Tensor, kernel: Kernel, scales: list[float]) -> float:
    """Term by term."""

    def k(x: Tensor, y: Tensor) -> float:
        square = sum((p - q) ** 2 for p, q in zip(x.tolist(), y.tolist(), strict=True))
        values = []
        for scale in scales:
            c = 2 * len(x) * scale
            values.append(math.exp(-square / c) if kernel == "rbf" else c / (c + square))
        return sum(values) / len(values)

    n, m = len(a), len(b)
    within = sum(k(a[i], a[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    other = sum(k(b[i], b[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within + other - 2 * sum(k(x, y) for x in a for y in b) / (n * m)


@pytest.mark.parametrize("kernel", ["rbf", "imq"])
class TestMMD:
    def test_term_by_term(self, kernel: Kernel) -> None:
        a, b = normal(7, 3), 0.5 + 2 * normal(5, 3, seed=1)
        expected = slow_mmd(a, b, kernel, SCALES)
        assert float(mmd(a, b, kernel, SCALES)) == pytest.approx(expected, rel=1e-10)

    def test_samples_of_one_distribution_have_mean_zero(self, kernel: Kernel) -> None:
        found = torch.stack(
            [mmd(normal(20, 4, s), normal(30, 4, 10_000 + s), kernel, SCALES) for s in range(600)]
        )
        assert abs(float(found.mean())) < 4 * float(found.std()) / 600**0.5
        assert bool((found < 0).any())  # as an unbiased estimate of 0 must be, at times

    def test_other_distributions_are_apart(self, kernel: Kernel) -> None:
        a = normal(300, 4)
        for b in (normal(300, 4, 1) + 1, 2 * normal(300, 4, 1)):
            assert float(mmd(a, b, kernel, SCALES)) > 0.05

    def test_draws_from_the_prior_of_any_code(self, kernel: Kernel) -> None:
        penalty = MMD(kernel=kernel, scales=SCALES)
        spatial = Spatial(channels=None, activation=None)
        for words in ({}, {"latent": gaussian(3)}, {"network": conv(2), "latent": spatial}):
            whole = model(**words).double()
            x = images(6, 1, 4, 4, dtype=torch.float64)
            p = whole.run(x, gen(), noisy=False, sample=True)
            where = gen()
            where.set_state(p.generator.get_state())  # type: ignore[union-attr]
            found = penalty(p)
            drawn = whole.prior_density.sample((6, *whole.code_shape), x, where).flatten(1)
            same(found, mmd(p.code.z.flatten(1), drawn, kernel, SCALES).expand(6))

    def test_it_draws_codes_to_the_prior(self, kernel: Kernel) -> None:
        z = (3 + 0.1 * normal(64, 2)).requires_grad_()
        optimizer = torch.optim.Adam([z], lr=0.1)
        penalty = MMD(kernel=kernel, scales=[0.5, 2.0, 8.0])
        for seed in range(300):
            optimizer.zero_grad()
            mmd(z, normal(64, 2, seed), kernel, penalty.scales).backward()
            optimizer.step()
        assert float(z.detach().mean().abs()) < 0.3
        assert 0.6 < float(z.detach().std()) < 1.4

    def test_a_single_image_has_no_distribution(self, kernel: Kernel) -> None:
        z = normal(1, 3).requires_grad_()
        cost = MMD(kernel=kernel, scales=SCALES)(with_codes(z))
        assert cost.tolist() == [0]
        cost.sum().backward()
        assert z.grad is not None and not z.grad.any()


class TestSlicedWasserstein:
    def test_a_shift(self) -> None:
        """Along a line the distance of two point sets, one shifted, is the shift along it."""
        a, shift = normal(50, 4), torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
        lines = torch.nn.functional.normalize(normal(4, 7, 1), dim=0)
        found = sliced_wasserstein(a, a[torch.randperm(50, generator=gen())] + shift, lines)
        same(found, (shift @ lines).square().mean())

    def test_normal_distributions(self) -> None:
        """SW2^2 of N(m, s^2 I) and N(0, I) is ||m||^2 / dim + (s - 1)^2."""
        dim, n = 5, 4000
        z = 1.5 * normal(n, dim) + torch.tensor([1.0, -2.0, 0.5, 0.0, 1.0], dtype=torch.float64)
        whole = model(latent=plain(dim)).double()
        cost = SlicedWasserstein(projections=400)(with_codes(z, whole))
        assert cost.shape == (n,)
        assert float(cost[0]) == pytest.approx(6.25 / 5 + 0.25, rel=0.1)

    def test_directions_are_uniform(self) -> None:
        z = 3 * torch.eye(3, dtype=torch.float64)[[0]].expand(400, 3)
        found = [
            float(SlicedWasserstein(projections=2000)(with_codes(z[:, order]))[0])
            for order in ([0, 1, 2], [1, 0, 2], [2, 1, 0])
        ]
        # all points at (3, 0, 0): W2^2 along a line is 9 cos^2 + 1, 4 on average
        assert found == pytest.approx([4, 4, 4], rel=0.1)

    def test_zero_for_equal_sets(self) -> None:
        a = normal(9, 3)
        assert float(sliced_wasserstein(a, a.flip(0), normal(3, 4, 1))) == 0


class TestDIP:
    def whitened(self, n: int = 60, dim: int = 4) -> Tensor:
        z = normal(n, dim)
        z = z - z.mean(0)
        return torch.linalg.qr(z)[0] * math.sqrt(n - 1)

    def test_covariance(self) -> None:
        z = normal(9, 3)
        same(covariance(z), z.T.cov())
        assert not covariance(z[:1]).any()

    def test_whitened_codes_cost_nothing(self) -> None:
        z = self.whitened()
        same(DIP(kind="i", diagonal=10.0)(with_codes(z)), torch.zeros(60, dtype=z.dtype))
        half = with_codes(z * math.sqrt(0.5), log_var=torch.full_like(z, math.log(0.5)))
        same(DIP(kind="ii", diagonal=10.0)(half), torch.zeros(60, dtype=z.dtype))

    def test_by_hand(self) -> None:
        mix = torch.tensor([[2.0, 0.5], [0.0, 1.0]], dtype=torch.float64)
        p = with_codes(self.whitened(60, 2) @ mix, log_var=torch.zeros(60, 2, dtype=mix.dtype))
        # the covariance is mix^T mix = [[4, 1], [1, 1.25]]; each posterior adds 1 to the diagonal
        for kind, expected in (("i", 2 + 10 * (9 + 0.0625)), ("ii", 2 + 10 * (16 + 1.25**2))):
            penalty = DIP(kind=kind, diagonal=10.0)  # type: ignore[arg-type]
            same(penalty(p), torch.full((60,), expected, dtype=mix.dtype))

    def test_the_second_kind_is_the_covariance_of_draws(self) -> None:
        n = 200_000
        mean, log_var = normal(n, 2) * torch.tensor([1.0, 0.3]), normal(n, 2, 1) - 1
        q = DiagonalGaussian(mean, log_var)
        drawn = DIP(kind="i", diagonal=1.0)(with_codes(q.sample(gen(3))))
        found = DIP(kind="ii", diagonal=1.0)(with_codes(mean, log_var=log_var))
        assert float(found[0]) == pytest.approx(float(drawn[0]), rel=0.05)

    @pytest.mark.parametrize("latent", [plain(3), Hypersphere(dim=3)], ids=type)
    def test_the_second_kind_needs_independent_dimensions(self, latent: Latent) -> None:
        with pytest.raises(UserError, match=r"kind=ii.*\n.*kind=i, or latent=gaussian"):
            model(latent=latent, penalties={"dip": DIP(kind="ii", diagonal=1.0)})
        assert model(penalties={"dip": DIP(kind="i", diagonal=1.0)}).penalties


class TestKLSparsity:
    def test_against_torch(self) -> None:
        z = images(7, 5, dtype=torch.float64)
        p = with_codes(z)
        target = Bernoulli(torch.full((5,), 0.05, dtype=torch.float64))
        same(KLSparsity(rho=0.05)(p), kl_divergence(target, Bernoulli(z.mean(0))).sum().expand(7))

    def test_nothing_at_the_target(self) -> None:
        z = torch.tensor([[0.0, 0.1], [0.2, 0.1]], dtype=torch.float64)
        same(KLSparsity(rho=0.1)(with_codes(z)), torch.zeros(2, dtype=z.dtype))

    @pytest.mark.parametrize("value", [0.0, 1.0])
    def test_units_that_never_change_cost_a_finite_amount(self, value: float) -> None:
        cost = KLSparsity(rho=0.5)(with_codes(torch.full((3, 2), value)))
        assert cost.isfinite().all() and float(cost[0]) > 5

    def test_needs_codes_between_0_and_1(self) -> None:
        penalty = {"kl_sparsity": KLSparsity(rho=0.1)}
        for latent in (plain(3), plain(3, activation="relu"), gaussian(3)):
            with pytest.raises(UserError, match=r"latent\.activation=sigmoid"):
                model(latent=latent, penalties=penalty)
        assert model(latent=plain(3, activation="sigmoid"), penalties=penalty).penalties
        spatial = Spatial(channels=2, activation="sigmoid")
        assert model(network=conv(3), latent=spatial, penalties=penalty).penalties

    @pytest.mark.parametrize("rho", [0.0, 1.0, -0.1])
    def test_wrong_arguments(self, rho: float) -> None:
        with pytest.raises(ValidationError):
            KLSparsity(rho=rho)


def test_code_l2() -> None:
    p = passed(model(network=mlp(5)).double())
    expected = [0.5 * sum(v * v for v in row) for row in p.code.z.tolist()]
    assert CodeL2()(p).tolist() == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    "penalty",
    [MMD(kernel="imq", scales=[1.0]), SlicedWasserstein(projections=3)],
    ids=lambda p: type(p).__name__,
)
def test_what_matches_the_prior_can_be_sampled(penalty: Penalty) -> None:
    assert not model(penalties={"code_l2": CodeL2()}).can_sample
    whole = model(penalties={"code_l2": CodeL2(), "match": penalty})
    assert whole.can_sample and whole.sample(5, gen()).shape == (5, 1, 4, 4)


@pytest.mark.parametrize("arguments", [{"kernel": "rbf", "scales": []}, {"kernel": "cosine"}])
def test_wrong_kernels(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MMD(**({"scales": [1.0]} | arguments))


@pytest.mark.parametrize(
    "penalty",
    [
        MMD(kernel="imq", scales=[1.0]),
        SlicedWasserstein(projections=3),
        DIP(kind="i", diagonal=1.0),
        DIP(kind="ii", diagonal=1.0),
    ],
    ids=lambda p: type(p).__name__,
)
def test_mixed_precision_keeps_the_statistics_precise(penalty: Penalty) -> None:
    z = normal(40, 6).to(torch.bfloat16)
    low = with_codes(z.float(), log_var=torch.zeros(40, 6))
    expected = penalty(low)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = penalty(with_codes(z, log_var=torch.zeros(40, 6)))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)


def test_a_unit_that_is_hardly_ever_on_is_lifted_in_mixed_precision() -> None:
    penalty, found = KLSparsity(rho=0.05), []
    for kind in (torch.float32, torch.bfloat16):
        z = torch.full((20, 2), 1e-3, dtype=kind, requires_grad=True)
        (gradient,) = torch.autograd.grad(penalty(with_codes(z))[0], z)
        found.append(gradient.float())
    assert bool((found[0] < 0).all())
    torch.testing.assert_close(found[1], found[0], rtol=0.02, atol=0)
