"""Learned priors against torch.distributions, the posteriors they are made of, and closed forms."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch import distributions as D

from aecore.data.split import Split
from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.model.codes import Code
from aecore.model.latents.categorical import Categorical
from aecore.model.latents.flow import FlowLatent
from aecore.model.latents.gaussian import DiagonalGaussian
from aecore.model.latents.hypersphere import Hypersphere
from aecore.model.penalties.free_bits import FreeBits
from aecore.model.penalties.kl import KL
from aecore.model.penalties.total_correlation import TotalCorrelation
from aecore.model.priors.base import Prior
from aecore.model.priors.flow import FlowPrior
from aecore.model.priors.mixture import Mixture
from aecore.model.priors.standard import Standard
from aecore.model.priors.uniform import UniformCategories, UniformSphere, log_area
from aecore.model.priors.vamp import Vamp
from aecore.model.reconstruction.bernoulli import Bernoulli
from aecore.model.reconstruction.errors import MSE
from helpers.bounds import check_bounds
from helpers.gradients import check_gradient
from helpers.models import conv, gaussian, gen, images, mlp, model, plain


def vamp(components: int, start: Any = "noise") -> Vamp:
    return Vamp(components=components, start=start)


def flow(kind: Any = "affine") -> FlowPrior:
    return FlowPrior(kind=kind, transforms=2, hidden=[8])


LEARNED = [
    pytest.param(Mixture(components=3), id="mixture"),
    pytest.param(vamp(3), id="vamp"),
    pytest.param(flow("affine"), id="affine"),
    pytest.param(flow("spline"), id="spline"),
]


def vae(prior: Prior, off: float = 0.3, **words: Any) -> Autoencoder:
    """Of codes of 3 numbers, its parameters off their symmetric start."""
    given = {"latent": gaussian(3), "penalties": {"kl": KL()}, "reconstruction": bernoulli()}
    made = model(prior=prior, **(given | words))
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in made.prior.parameters():
            parameter += off * torch.randn_like(parameter)
    return made


def bernoulli(targets: Any = "soft") -> Bernoulli:
    return Bernoulli(targets=targets, threshold=0.5)


def codes(n: int, dim: int = 3) -> Tensor:
    return 1.5 * torch.randn(n, dim, generator=gen(3))


def test_mixture_is_that_of_torch() -> None:
    prior = vae(Mixture(components=4)).prior_density
    assert isinstance(prior, Mixture)
    same = D.MixtureSameFamily(
        D.Categorical(logits=prior.logits),
        D.Independent(D.Normal(prior.means, (prior.log_vars / 2).exp()), 1),
    )
    z = codes(50)
    torch.testing.assert_close(prior.log_prob(z), same.log_prob(z)[:, None])
    drawn = prior.sample((40_000, 3), z, gen(1))
    error = drawn.std(0) / len(drawn) ** 0.5
    assert float(((drawn.mean(0) - same.mean.detach()) / error).abs().max()) < 4.5
    torch.testing.assert_close(drawn.var(0), same.variance.detach(), rtol=0.03, atol=0)


def test_vamp_of_one_pseudo_input_is_its_posterior() -> None:
    whole = vae(vamp(1))
    word = whole.prior
    assert isinstance(word, Vamp)
    posterior = whole.encode(word.images(whole)).posterior
    assert posterior is not None
    z = codes(9)
    torch.testing.assert_close(
        whole.prior_density.log_prob(z), posterior.log_prob(z).sum(1, keepdim=True)
    )
    drawn = whole.prior_density.sample((20_000, 3), z, gen(1))
    torch.testing.assert_close(drawn.mean(0), posterior.mean[0], rtol=0.05, atol=0.05)
    torch.testing.assert_close(drawn.var(0), posterior.variance[0], rtol=0.05, atol=0)


def test_vamp_on_a_sphere_is_the_mean_of_densities() -> None:
    whole = vae(vamp(5), latent=Hypersphere(dim=3))
    word = whole.prior
    assert isinstance(word, Vamp)
    z = whole.latent.nearest(codes(7))
    one = [whole.encode(image[None]).posterior for image in word.images(whole)]
    each = torch.cat([q.log_prob(z).exp() for q in one if q is not None], 1)
    torch.testing.assert_close(whole.prior_density.log_prob(z).exp(), each.mean(1, keepdim=True))


def test_pseudo_inputs_leave_batch_norm_alone() -> None:
    whole = vae(vamp(5), network=mlp(6, norm="batch")).train()
    before = {k: v.clone() for k, v in whole.state_dict().items()}
    trained, z = whole.prior_density.log_prob(codes(4)), codes(4)
    assert all(torch.equal(v, before[k]) for k, v in whole.state_dict().items())
    assert all(module.training for module in whole.modules())
    torch.testing.assert_close(trained, whole.eval().prior_density.log_prob(z))


@pytest.mark.parametrize("kind", ["affine", "spline"])
@torch.no_grad()
def test_flow_is_normalised_and_draws_what_it_says(kind: Any) -> None:
    prior = vae(flow(kind), off=0.1).prior_density
    z = codes(6000).double()
    spread = D.Independent(D.Normal(torch.zeros(3), torch.full((3,), 1.5)), 1)
    ratio = (prior.log_prob(z.float())[:, 0] - spread.log_prob(z)).exp()
    assert float((ratio.mean() - 1).abs() / ratio.std() * len(z) ** 0.5) < 4.5
    drawn = prior.sample((6000, 3), z.float(), gen(2))
    for moment in (drawn, drawn.square()):  # against the same by importance weights
        weighed = ratio[:, None] * (z if moment is drawn else z.square())
        error = (moment.var(0) / len(drawn) + weighed.var(0) / len(z)).sqrt()
        assert float(((moment.mean(0) - weighed.mean(0)) / error).abs().max()) < 4.5


@pytest.mark.parametrize("kind", ["affine", "spline"])
@pytest.mark.parametrize("dim", [1, 4])
def test_a_flow_starts_as_the_standard_normal(kind: Any, dim: int) -> None:
    prior = model(prior=flow(kind), latent=gaussian(dim), penalties={"kl": KL()}).prior_density
    z = codes(20, dim)
    together = Standard().log_prob(z).sum(1, keepdim=True)
    torch.testing.assert_close(prior.log_prob(z), together, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_estimated_kl_is_unbiased() -> None:
    """A mixture of one standard normal is the standard prior, whose KL is known."""
    word = Mixture(components=1)
    whole = model(prior=word, latent=gaussian(3), penalties={"kl": KL()})
    prior = whole.prior_density
    assert isinstance(prior, Mixture)
    prior.means.data.zero_()
    n = 20_000
    q = DiagonalGaussian(
        torch.tensor([[0.5, -1.0, 2.0]]).expand(n, 3), torch.tensor([[0.3, -2.0, 0.0]]).expand(n, 3)
    )
    z = q.sample(gen(1))
    estimated = prior.kl(Code(z, q.mean, q))
    known = Standard().kl(Code(z, q.mean, q))
    assert estimated.shape == (n, 1)
    error = estimated.std() / n**0.5
    assert float((estimated.mean() - known.sum(1).mean()).abs() / error) < 4


@pytest.mark.parametrize("word", LEARNED)
@pytest.mark.parametrize("penalty", ["kl", "free_bits"])
def test_every_parameter_of_a_prior_learns(word: Prior, penalty: str) -> None:
    one = KL() if penalty == "kl" else FreeBits(nats=0.0)
    whole = vae(word, penalties={penalty: one})
    whole.terms(images(8, 1, 4, 4), gen(), epoch=0.0, noisy=True).loss.backward()
    named = dict(whole.prior.named_parameters())
    assert named
    for name, parameter in named.items():
        assert parameter.grad is not None and float(parameter.grad.abs().max()) > 0, name


@pytest.mark.parametrize("word", LEARNED)
def test_draws_are_repeatable_and_fixed(word: Prior) -> None:
    prior = vae(word).prior_density
    like = torch.zeros(1)
    drawn = prior.sample((6, 3), like, gen(5))
    assert drawn.shape == (6, 3) and not drawn.requires_grad
    assert torch.equal(drawn, prior.sample((6, 3), like, gen(5)))
    assert len({tuple(row) for row in drawn.tolist()}) == 6


def refused(word: Prior, **words: Any) -> str:
    with pytest.raises(UserError) as raised:
        vae(word, **words)
    return str(raised.value)


def test_what_cannot_learn_a_prior_is_refused() -> None:
    plain_code = {"latent": plain(3), "penalties": {}}
    sphere = Hypersphere(dim=3)
    categorical = Categorical(
        variables=2, categories=3, temperature=1.0, temperature_end=1.0, epochs=1, hard=False
    )
    assert "sampler=gmm" in refused(Mixture(components=2), **plain_code)
    assert "sampler=gmm" in refused(vamp(2), **plain_code)
    assert "bounded" in refused(Mixture(components=2), latent=sphere)
    assert "bounded" in refused(flow(), latent=categorical)
    assert "posteriors of other images" in refused(vamp(2), latent=categorical)
    curved = FlowLatent(dim=3, transforms=1, hidden=[4], context=2)
    assert "posteriors of other images" in refused(vamp(2), latent=curved)
    for word in (Mixture(components=2), vamp(2), flow()):
        assert "penalty=kl" in refused(word, penalties={})


@pytest.mark.parametrize("word", LEARNED)
@pytest.mark.parametrize("factors", [(1.0, 6.0, 1.0), (1.0, 1.0, 0.0), (0.0, 1.0, 1.0)])
def test_a_kl_of_single_dimensions_takes_a_prior_that_has_them(
    word: Prior, factors: tuple[float, float, float]
) -> None:
    """Else the part that is so called is no divergence, and without it the prior is never read."""
    alpha, beta, gamma = factors
    penalty = TotalCorrelation(alpha=alpha, beta=beta, gamma=gamma)
    assert "dependent under a learned prior" in refused(word, penalties={"tc": penalty})


@pytest.mark.parametrize("word", LEARNED)
def test_the_correlation_alone_goes_with_any_prior(word: Prior) -> None:
    penalty = TotalCorrelation(alpha=0.0, beta=2.0, gamma=0.0)
    penalty.attach(100, 1)
    assert "penalty=kl" in refused(word, penalties={"tc": penalty}), "which is what teaches it"
    whole, without = (vae(word, penalties=p) for p in ({"kl": KL(), "tc": penalty}, {"kl": KL()}))
    x = images(8, 1, 4, 4)
    terms, other = (m.terms(x, gen(), epoch=0.0, noisy=True) for m in (whole, without))
    torch.testing.assert_close(terms.loss, other.loss + terms.values["tc"])


def test_pseudo_inputs_have_the_shape_of_colour_images() -> None:
    whole = model(
        image_shape=(3, 6, 5), network=conv(4), latent=gaussian(2),
        penalties={"kl": KL()}, prior=vamp(4), reconstruction=bernoulli(),
    )  # fmt: skip
    word = whole.prior
    assert isinstance(word, Vamp) and word.images(whole).shape == (4, 3, 6, 5)
    assert whole.sample(2, gen()).shape == (2, 3, 6, 5)


@pytest.mark.parametrize("word", [Mixture(components=3), vamp(3)])
def test_a_conditional_model_may_have_any_prior(word: Prior) -> None:
    whole = vae(word, classes=2)
    y = torch.arange(8) % 2
    terms = whole.terms(images(8, 1, 4, 4), gen(), epoch=0.0, noisy=True, y=y)
    assert bool(torch.isfinite(terms.loss))
    assert whole.sample(3, gen()).shape == (3, 1, 4, 4)


def test_pseudo_inputs_of_a_conditional_model_are_of_one_class_after_the_other() -> None:
    whole, z = vae(vamp(5), classes=3), codes(4)
    word = whole.prior
    assert isinstance(word, Vamp)
    q = whole.encode(word.images(whole), y=torch.tensor([0, 1, 2, 0, 1])).posterior
    assert q is not None
    each = torch.stack([q.log_prob(one).sum(1) for one in z])
    expected = each.logsumexp(1, keepdim=True) - math.log(5)
    torch.testing.assert_close(whole.prior_density.log_prob(z), expected)


def test_pseudo_inputs_may_start_from_training_images() -> None:
    few = images(3, 1, 4, 4)
    whole = vae(vamp(5, "data"))
    word = whole.prior
    assert isinstance(word, Vamp)
    word.begin(whole, Split(few), seed=0)
    found = word.images(whole).detach().flatten(1)
    distances = torch.cdist(found, few.clamp(0.05, 0.95).flatten(1))
    assert float(distances.min(1).values.max()) < 1e-5
    assert sorted(distances.argmin(1).bincount().tolist()) == [1, 2, 2]


@pytest.mark.parametrize("targets", ["soft", "threshold", "stochastic"])
def test_pseudo_inputs_are_learned_whatever_becomes_of_images(targets: str) -> None:
    whole = vae(vamp(4), reconstruction=bernoulli(targets))
    whole.terms(images(8, 1, 4, 4), gen(), epoch=0.0, noisy=True).loss.backward()
    learned = whole.prior.logits
    assert isinstance(learned, Tensor) and learned.grad is not None and bool(learned.grad.all())


def test_pseudo_inputs_may_be_any_rows_of_a_standardised_table() -> None:
    rows = 5 + 3 * torch.randn(4, 1, 1, 6, generator=gen())
    shift, scale = torch.full((1, 1, 6), 5.0), torch.full((1, 1, 6), 3.0)
    table: dict[str, Any] = {"image_shape": (1, 1, 6), "shift": shift, "scale": scale}
    whole = vae(vamp(4, "data"), reconstruction=MSE(), **table)
    word = whole.prior
    assert isinstance(word, Vamp)
    word.begin(whole, Split(rows), seed=0)
    found = whole.denormalise(word.images(whole)).detach()
    torch.testing.assert_close(found.sort(0).values, rows.sort(0).values)


def test_pseudo_inputs_start_from_images_of_their_own_class() -> None:
    few, labels = images(6, 1, 4, 4), torch.tensor([1, 1, 1, 0, 1, 0])
    whole = vae(vamp(5, "data"), classes=3)
    word = whole.prior
    assert isinstance(word, Vamp)
    word.begin(whole, Split(few, labels), seed=0)
    found = word.images(whole).detach().flatten(1)
    nearest = torch.cdist(found, few.clamp(0.05, 0.95).flatten(1)).argmin(1)
    assert labels[nearest[[0, 1, 3, 4]]].tolist() == [0, 1, 0, 1]
    assert len(set(nearest[[0, 1, 3, 4]].tolist())) == 4, "each another one"


def test_pseudo_inputs_start_from_every_image_of_a_class_before_any_again() -> None:
    few, labels = images(9, 1, 4, 4), torch.arange(9) % 3
    whole = vae(vamp(9, "data"), classes=3)
    word = whole.prior
    assert isinstance(word, Vamp)
    word.begin(whole, Split(few, labels), seed=0)
    found = word.images(whole).detach().flatten(1)
    nearest = torch.cdist(found, few.clamp(0.05, 0.95).flatten(1)).argmin(1)
    assert sorted(nearest.tolist()) == [*range(9)]
    assert labels[nearest].tolist() == [0, 1, 2] * 3


@pytest.mark.parametrize("word", [pytest.param(Standard(), id="standard"), *LEARNED])
def test_no_part_of_a_kl_is_held_fixed(word: Prior) -> None:
    """Neither of the posterior nor of the prior; and the density moves codes."""
    whole = vae(word).double()
    x = images(5, 1, 4, 4, dtype=torch.float64)
    z = codes(5).double().requires_grad_()
    check_gradient(lambda: KL()(whole.run(x, gen(1), noisy=False, sample=True)), whole.parameters())
    check_gradient(lambda: whole.prior_density.log_prob(z), [z, *whole.parameters()])


@pytest.mark.parametrize("word", [pytest.param(Standard(), id="standard"), *LEARNED])
def test_a_temperature_scales_the_deviations_of_draws(word: Prior) -> None:
    """About the mean of what each is drawn from, which a temperature of 0 gives."""
    prior, z = vae(word).prior_density, codes(1)
    assert prior.no_temperature is None
    drawn = [prior.sample((200, 3), z, gen(1), t) for t in (0.0, 0.5, 1.0, 2.0)]
    if isinstance(prior, FlowPrior):
        drawn = [prior.warp(one)[0].detach() for one in drawn]
    none, half, full, twice = drawn
    assert float((full - none).abs().mean()) > 0.1
    torch.testing.assert_close(half, (full + none) / 2, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(twice, 2 * full - none, rtol=1e-3, atol=1e-4)
    if isinstance(prior, Standard):
        assert not none.any()
    elif isinstance(prior, Mixture):
        assert float(torch.cdist(none, prior.means.detach()).min(1).values.max()) < 1e-5


def test_areas_of_spheres() -> None:
    """Of a circle, a sphere, and those of four and five dimensions."""
    areas = {2: 2 * math.pi, 3: 4 * math.pi, 4: 2 * math.pi**2, 5: 8 / 3 * math.pi**2}
    for dim, area in areas.items():
        for r in (0.5, 1.0, 3.0):
            assert math.exp(log_area(dim, r)) == pytest.approx(area * r ** (dim - 1))


@pytest.mark.parametrize("dim", [2, 3, 5])
def test_uniform_on_a_sphere(dim: int) -> None:
    prior = UniformSphere(dim)
    z = prior.sample((20_000, dim), torch.zeros(1, dtype=torch.float64), gen())
    torch.testing.assert_close(z.square().sum(1), torch.full_like(z[:, 0], dim))
    for moment, expected in ((z, 0.0), (z.square(), 1.0)):
        error = moment.std(0) / len(z) ** 0.5
        assert float(((moment.mean(0) - expected) / error).abs().max()) < 4.5
    density = prior.log_prob(z[:, None])
    torch.testing.assert_close(density, torch.full_like(density, -log_area(dim, math.sqrt(dim))))
    assert density.shape == (20_000, 1, 1) and prior.no_temperature is not None
    assert prior.state_dict() == {}


def test_uniform_over_categories() -> None:
    prior = UniformCategories(2, 3)
    z = prior.sample((9000, 6), torch.zeros(1), gen())
    numbers = z.view(-1, 2, 3).argmax(2) @ torch.tensor([3, 1])
    assert bool((z.view(-1, 2, 3).sum(2) == 1).all()) and z.dtype == torch.float32
    share = numbers.bincount(minlength=9) / 9000
    assert float((share - 1 / 9).abs().max()) < 4.5 * (8 / 81 / 9000) ** 0.5
    density = prior.log_prob(z[:, None])
    torch.testing.assert_close(density, torch.full((9000, 1, 2), -math.log(3)))
    assert prior.no_temperature is not None and prior.state_dict() == {}


def test_bounds() -> None:
    check_bounds("prior=flow", "hidden", [[1]], [[], [0]])
    check_bounds("prior=flow", "transforms", [1], [0])
    check_bounds("prior=mixture", "components", [1], [0])
    check_bounds("prior=vamp", "components", [1], [0])


class Unknown(DiagonalGaussian):
    """A posterior that knows no KL in closed form."""

    def kl_standard(self) -> Any:
        return None


def test_an_estimated_kl_is_that_of_all_parts() -> None:
    mean, log_var = codes(5), 0.3 * codes(5).flip(0)
    z = DiagonalGaussian(mean, log_var).sample(gen(1))
    found = Standard().kl(Code(z, mean, Unknown(mean, log_var)))
    own = D.Normal(mean, (log_var / 2).exp()).log_prob(z).sum(1, keepdim=True)
    torch.testing.assert_close(found, own - D.Normal(0.0, 1.0).log_prob(z).sum(1, keepdim=True))


@pytest.mark.parametrize("word", LEARNED)
def test_a_density_draws_nothing(word: Prior) -> None:
    whole, z = vae(word), codes(3)
    state = torch.get_rng_state()
    whole.prior_density.log_prob(z)
    assert torch.equal(torch.get_rng_state(), state)
