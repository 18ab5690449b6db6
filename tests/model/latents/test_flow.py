"""The flow posterior against autograd, its own inverse and the Gaussian that it starts as."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.model.codes import Code
from aecore.model.flows import Warp
from aecore.model.latents.flow import FlowLatent, WarpedGaussian
from aecore.model.latents.gaussian import DiagonalGaussian
from aecore.model.objectives.bounds import Iwae
from aecore.model.penalties.kl import KL
from aecore.model.penalties.total_correlation import TotalCorrelation
from aecore.model.priors.standard import Standard
from aecore.model.reconstruction.bernoulli import Bernoulli
from helpers.models import gaussian, gen, images, model


def moved(warp: Warp, scale: float = 0.3) -> Warp:
    """A flow off its start, which is the identity."""
    with torch.no_grad():
        for parameter in warp.parameters():
            parameter += scale * torch.randn_like(parameter)
    return warp.double()


def warp(kind: Any, dim: int, context: int = 0, scale: float = 0.3) -> Warp:
    torch.manual_seed(2)
    return moved(Warp(kind, dim, transforms=2, hidden=[16], context=context), scale)


def posterior(n: int, dim: int = 3, scale: float = 0.3) -> WarpedGaussian:
    """n times the same one."""
    one = torch.randn(1, 2 * dim + 2, generator=gen(1), dtype=torch.float64).expand(n, -1)
    base = DiagonalGaussian(one[:, :dim], 0.5 * one[:, dim : 2 * dim])
    return WarpedGaussian(base, one[:, 2 * dim :], warp("affine", dim, 2, scale))


@pytest.mark.parametrize("kind", ["affine", "spline"])
@pytest.mark.parametrize(("dim", "context"), [(4, 0), (4, 2), (1, 0), (1, 2)])
def test_the_determinant_and_the_inverse(kind: Any, dim: int, context: int) -> None:
    flow = warp(kind, dim, context)
    x = torch.randn(5, dim, generator=gen(), dtype=torch.float64)
    c = torch.randn(5, context, generator=gen(1), dtype=torch.float64) if context else None
    y, log_det = flow(x, c)
    assert float((y - x).detach().abs().mean()) > 0.05, "the flow moves nothing"
    seen = torch.eye(dim, dtype=torch.bool)
    for n in range(len(x)):
        row = None if c is None else c[n]
        jacobian = torch.autograd.functional.jacobian(lambda u, r=row: flow(u, r)[0], x[n])
        torch.testing.assert_close(log_det[n], torch.linalg.slogdet(jacobian).logabsdet)
        seen |= jacobian != 0
    assert bool(seen.all()), "a number that another never moves"
    torch.testing.assert_close(flow.inverse(y, c), x)


def test_own_draws_have_the_density_of_any_code() -> None:
    q = posterior(6)
    z = q.sample(gen(3))
    torch.testing.assert_close(
        q.log_prob(z), q.log_prob(z.clone())
    )  # cached_classifier, and inverted
    mean = q.mean
    torch.testing.assert_close(q.log_prob(mean), q.log_prob(mean.clone()))
    assert torch.equal(z, q.sample(gen(3)))


def test_each_code_under_each_posterior() -> None:
    q = posterior(4)
    other = DiagonalGaussian(q.base.mean * torch.arange(1, 5)[:, None], q.base.log_var)
    q = WarpedGaussian(other, q.context, q.warp)
    z = q.sample(gen(3)).detach()
    pairs = q.log_prob(z[:3, None])
    assert pairs.shape == (3, 4, 1)
    for n in range(3):
        own = q.log_prob(z[n].expand(4, -1))
        torch.testing.assert_close(pairs[n], own)


@torch.no_grad()
def test_density_is_normalised() -> None:
    n = 5000
    q = posterior(n)
    centre, spread = q.mean[0], 1.5 * posterior(1).variance[0].sqrt()
    around = torch.distributions.Independent(torch.distributions.StudentT(5, centre, spread), 1)
    torch.manual_seed(0)
    z = around.sample((n,))
    ratio = (q.log_prob(z)[:, 0] - around.log_prob(z)).exp()
    assert float((ratio.mean() - 1).abs() / ratio.std() * n**0.5) < 4.5


@torch.no_grad()
def test_the_variance_is_that_of_draws() -> None:
    variance = posterior(1, scale=0.1).variance
    drawn = posterior(5000, scale=0.1).sample(gen(4)).var(0)
    torch.testing.assert_close(variance[0], drawn, rtol=0.5, atol=0)
    assert torch.equal(variance, posterior(1, scale=0.1).variance)
    line = posterior(1, dim=1)  # of one number the flow is affine
    _, log_det = line.warp(line.base.mean, line.context)
    exact = line.base.variance * (2 * log_det).exp()[:, None]
    torch.testing.assert_close(line.variance, exact)


def latent(dim: int = 3) -> FlowLatent:
    return FlowLatent(dim=dim, transforms=2, hidden=[8], context=4)


def vae(**words: Any) -> Autoencoder:
    given = {
        "latent": latent(),
        "penalties": {"kl": KL()},
        "reconstruction": Bernoulli(targets="soft", threshold=0.5),
    }
    return model(**(given | words))


@pytest.mark.parametrize("dim", [1, 3])
def test_it_starts_as_a_gaussian(dim: int) -> None:
    whole = vae(latent=latent(dim))
    code = whole.encode(images(6, 1, 4, 4), gen(1))
    q = code.posterior
    assert isinstance(q, WarpedGaussian)
    assert torch.equal(code.z, q.base.sample(gen(1)))
    assert torch.equal(code.mean, q.base.mean)
    own = q.base.log_prob(code.z).sum(1, keepdim=True)
    torch.testing.assert_close(q.log_prob(code.z), own)
    torch.testing.assert_close(q.log_prob(code.z.clone()), own)


def kl(whole: Autoencoder, code: Code) -> Tensor:
    return whole.prior_density.kl(code)


@torch.no_grad()
def test_kl_is_that_at_the_draw_and_unbiased() -> None:
    """At the start the posterior is a Gaussian, whose KL is known."""
    whole = vae()
    x = images(1, 1, 4, 4).expand(20_000, 1, 4, 4)
    code = whole.encode(x, gen(2))
    q = code.posterior
    assert isinstance(q, WarpedGaussian) and isinstance(whole.prior, Standard)
    estimated, known = kl(whole, code), q.base.kl_standard().sum(1)
    assert estimated.shape == (20_000, 1)
    error = estimated.std() / 20_000**0.5
    assert float((estimated.mean() - known.mean()).abs() / error) < 4
    plain = vae(latent=gaussian(3)).encode(x[:2], gen(2))
    assert plain.posterior is not None and plain.posterior.kl_standard() is not None


def test_several_draws_know_their_densities() -> None:
    """So that multi-sample bounds take no inverse: their weights are those of each draw."""
    whole = vae(objective=Iwae(samples=3), penalties={})
    moved(whole.latent.warp)
    whole.latent.warp.float()
    x = images(5, 1, 4, 4)
    terms = whole.terms(x, gen(), epoch=0.0, noisy=False)
    terms.loss.backward()
    assert all(p.grad is not None for p in whole.latent.parameters())
    whole.objective = Iwae(samples=1)
    one = whole.terms(x, gen(), epoch=0.0, noisy=False).loss
    p = whole.run(x, gen(), noisy=False, sample=True)
    elbo = whole.reconstruction(p.output, p.x) + kl(whole, p.code)[:, 0]
    torch.testing.assert_close(one, elbo.mean())


def test_the_total_correlation_of_its_dimensions_is_refused() -> None:
    with pytest.raises(UserError, match="no independent dimensions"):
        vae(penalties={"tc": TotalCorrelation(alpha=1.0, beta=1.0, gamma=1.0)})
