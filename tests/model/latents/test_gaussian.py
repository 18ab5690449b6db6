"""The Gaussian posterior against torch.distributions and sampling; codes with and without draws."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from aecore.errors import UserError
from aecore.model.codes import Code
from aecore.model.latents.base import Latent
from aecore.model.latents.deterministic import Spatial
from aecore.model.latents.gaussian import LOG_VAR_BOUND, DiagonalGaussian, GaussianLatent
from aecore.model.latents.gaussian_map import GaussianMap
from aecore.model.priors.standard import Standard
from helpers.models import conv, gaussian, gen, images, mlp, model, plain


def posterior(n: int = 5, dim: int = 4, seed: int = 0) -> DiagonalGaussian:
    mean, log_var = torch.randn(2, n, dim, generator=gen(seed), dtype=torch.float64).unbind()
    return DiagonalGaussian(mean, log_var)


def as_torch(q: DiagonalGaussian) -> Normal:
    return Normal(q.mean, (q.log_var / 2).exp())


def unit(like: Tensor) -> Normal:
    return Normal(torch.zeros_like(like), torch.ones_like(like))


class TestDiagonalGaussian:
    def test_kl_is_that_of_torch(self) -> None:
        q = posterior()
        expected = kl_divergence(as_torch(q), unit(q.mean))
        torch.testing.assert_close(q.kl_standard(), expected, rtol=1e-12, atol=1e-14)

    def test_kl_is_the_expected_log_ratio(self) -> None:
        q = posterior(3, 2)
        n = 40_000
        many = DiagonalGaussian(q.mean.expand(n, 3, 2), q.log_var.expand(n, 3, 2))
        z = many.sample(gen())
        ratio = many.log_prob(z) - Standard().log_prob(z)
        error = (ratio.mean(0) - q.kl_standard()) / (ratio.std(0) / n**0.5)
        assert error.abs().max() < 4.5
        assert q.kl_standard().min() > 0.01  # so that the bound is worth something

    def test_kl_of_the_prior_is_zero(self) -> None:
        zero = torch.zeros(2, 3, dtype=torch.float64)
        assert torch.equal(DiagonalGaussian(zero, zero).kl_standard(), zero)

    def test_log_prob_is_that_of_torch(self) -> None:
        q, z = posterior(), posterior(seed=1).mean
        torch.testing.assert_close(q.log_prob(z), as_torch(q).log_prob(z), rtol=1e-12, atol=1e-12)
        expected = unit(z).log_prob(z)
        torch.testing.assert_close(Standard().log_prob(z), expected, rtol=1e-12, atol=1e-12)

    def test_moments_of_the_draws(self) -> None:
        q = posterior(1, 3)
        n = 40_000
        z = DiagonalGaussian(q.mean.expand(n, 3), q.log_var.expand(n, 3)).sample(gen())
        std = (q.log_var[0] / 2).exp()
        assert ((z.mean(0) - q.mean[0]) / (std / n**0.5)).abs().max() < 4.5
        assert ((z.std(0) / std - 1) * (2 * n) ** 0.5).abs().max() < 4.5
        assert torch.corrcoef(z.T).fill_diagonal_(0).abs().max() < 4.5 / n**0.5

    def test_the_generator_decides(self) -> None:
        q = posterior()
        draw = q.sample(gen(1))
        torch.manual_seed(5)
        assert torch.equal(draw, q.sample(gen(1)))
        assert not torch.equal(draw, q.sample(gen(2)))

    def test_draws_are_reparametrised(self) -> None:
        mean, log_var = (
            t.clone().requires_grad_() for t in (posterior().mean, posterior().log_var)
        )
        z = DiagonalGaussian(mean, log_var).sample(gen(3))
        z.sum().backward()
        assert mean.grad is not None and log_var.grad is not None
        assert torch.equal(mean.grad, torch.ones_like(mean))
        # dz / dlog_var = (z - mean) / 2
        torch.testing.assert_close(log_var.grad, (z - mean).detach() / 2, rtol=1e-12, atol=1e-12)


class TestGaussian:
    def test_sampled_or_not(self) -> None:
        whole = model(latent=gaussian(3))
        h = whole.encoder(images(4, 1, 4, 4))
        still, draw = whole.latent(h, gen(), False), whole.latent(h, gen(), True)
        assert torch.equal(still.z, still.mean) and torch.equal(still.mean, draw.mean)
        assert not torch.equal(draw.z, draw.mean)
        assert torch.equal(draw.z, draw.posterior.sample(gen()))
        assert whole.code_shape == (3,) and whole.can_sample

    def test_encode_draws_where_it_has_a_generator(self) -> None:
        whole = model(latent=gaussian(3))
        x = images(4, 1, 4, 4)
        code = whole.encode(x)
        assert torch.equal(code.z, code.mean)
        assert torch.equal(whole.encode(x, gen()).z, whole.encode(x, gen()).z)
        assert not torch.equal(whole.encode(x, gen(1)).z, whole.encode(x, gen()).z)

    def test_half_precision_ends_before_the_posterior(self) -> None:
        whole = model(latent=gaussian(8))
        with torch.no_grad():
            for parameter in whole.latent.parameters():
                parameter.mul_(0.01)  # nearly the prior: a KL of small differences
        x = images(50, 1, 4, 4)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            code = whole.latent(whole.encoder(x), gen(), True)
            kl = code.posterior.kl_standard()
        assert code.z.dtype == kl.dtype == torch.float32
        assert float(kl.min()) > -1e-6

    @pytest.mark.parametrize("huge", [1e4, -1e4])
    def test_the_variance_is_bounded(self, huge: float) -> None:
        latent = gaussian(2)
        latent.attach((3,))
        with torch.no_grad():
            latent.project[1].bias.fill_(huge)
        code: Code = latent(torch.zeros(1, 3), gen(), True)
        assert isinstance(code.posterior, DiagonalGaussian)
        expected = torch.full((1, 2), LOG_VAR_BOUND if huge > 0 else -LOG_VAR_BOUND)
        torch.testing.assert_close(code.posterior.log_var, expected)
        assert code.posterior.kl_standard().isfinite().all()

    def test_a_small_log_variance_is_as_it_is(self) -> None:
        latent = gaussian(1)
        latent.attach((1,))
        with torch.no_grad():
            latent.project[1].weight.copy_(torch.tensor([[0.0], [1.0]]))
            latent.project[1].bias.zero_()
        h = torch.linspace(-0.5, 0.5, 5)[:, None]
        code: Code = latent(h, None, False)
        assert isinstance(code.posterior, DiagonalGaussian)
        torch.testing.assert_close(code.posterior.log_var, h, rtol=1e-3, atol=1e-6)


class TestDeterministic:
    def test_is_an_affine_map(self) -> None:
        latent = plain(3, activation="sigmoid")
        assert latent.attach((2, 2, 1)) == (3,)
        h = torch.randn(5, 2, 2, 1, generator=gen())
        matrix = latent.project[1]
        expected = (h.reshape(5, 4) @ matrix.weight.T + matrix.bias).sigmoid()
        code: Code = latent(h, gen(), True)
        torch.testing.assert_close(code.z, expected)
        assert code.z is code.mean and code.posterior is None and not latent.variational

    def test_bias(self) -> None:
        latents = {bias: plain(2, bias=bias) for bias in (True, False)}
        for latent in latents.values():
            latent.attach((3,))
        assert {b: len(list(latent.parameters())) for b, latent in latents.items()} == {
            True: 2,
            False: 1,
        }

    def test_has_no_prior(self) -> None:
        with pytest.raises(UserError, match=r"no prior(.|\n)*latent=gaussian"):
            model(latent=plain(3)).sample(2, gen())


class TestSpatial:
    def test_is_the_feature_map(self) -> None:
        latent = Spatial(channels=None, activation=None)
        assert latent.attach((4, 3, 2)) == (4, 3, 2)
        h = torch.randn(5, 4, 3, 2, generator=gen())
        assert torch.equal(latent(h, None, True).z, h)
        assert not list(latent.parameters())

    def test_mixes_channels_at_each_place(self) -> None:
        latent = Spatial(channels=2, activation="tanh")
        assert latent.attach((4, 3, 2)) == (2, 3, 2)
        h = torch.randn(5, 4, 3, 2, generator=gen())
        layer = latent.project[0]
        mixed = (
            torch.einsum("oi,nihw->nohw", layer.weight[:, :, 0, 0], h) + layer.bias[:, None, None]
        )
        torch.testing.assert_close(latent(h, None, True).z, mixed.tanh())

    def test_refuses_flat_features(self) -> None:
        with pytest.raises(UserError, match=r"latent=spatial: .*\n.*network=conv"):
            model(network=mlp(6), latent=Spatial(channels=None, activation=None))


@pytest.mark.parametrize(
    "latent", [plain(3), gaussian(3), Spatial(channels=2, activation=None)], ids=type
)
def test_codes_of_one_image_do_not_depend_on_the_others(latent: Latent) -> None:
    whole = model(image_shape=(1, 8, 8), network=conv(3), latent=latent).double().eval()
    x = images(6, 1, 8, 8, dtype=torch.float64)
    together = whole.encode(x).mean
    alone = torch.cat([whole.encode(x[i : i + 1]).mean for i in range(6)])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-13)


def test_prior_samples() -> None:
    z = Standard().sample((40_000, 2), torch.zeros(1, dtype=torch.float64), gen())
    assert z.shape == (40_000, 2) and z.dtype == torch.float64
    assert z.mean(0).abs().max() < 4.5 / 200 and (z.std(0) - 1).abs().max() < 4.5 / 200 / 2**0.5


def test_a_map_of_one_position_is_the_vector() -> None:
    """With the same weights and draws, in samples and in the KL, within 1e-12."""
    vector, as_map = (
        model(latent=latent, network=conv(2, 3), image_shape=(1, 4, 4)).double()
        for latent in (GaussianLatent(dim=5), GaussianMap(channels=5))
    )
    assert as_map.code_shape == (5, 1, 1)
    as_map.encoder.load_state_dict(vector.encoder.state_dict())
    weight, bias = vector.latent.project.parameters()
    state = {"project.0.weight": weight.view(10, -1, 1, 1), "project.0.bias": bias}
    as_map.latent.load_state_dict(state)
    x = images(6, 1, 4, 4, dtype=torch.float64)
    one, two = (whole.encode(x, gen(1)) for whole in (vector, as_map))
    torch.testing.assert_close(two.z.flatten(1), one.z, rtol=1e-12, atol=1e-12)
    costs = [w.prior_density.kl(code) for w, code in ((vector, one), (as_map, two))]
    torch.testing.assert_close(costs[1], costs[0], rtol=1e-12, atol=1e-12)
