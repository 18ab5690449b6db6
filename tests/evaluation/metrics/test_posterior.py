"""What posteriors hold, the bits of an ELBO and the noise that a KL's weight stands for."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal, kl_divergence

from aecore.data.split import Split
from aecore.errors import SkippedError
from aecore.evaluation.metrics.bits import Bits
from aecore.evaluation.metrics.equivalent import EquivalentVariance
from aecore.evaluation.metrics.posterior import PosteriorUse, decompose_kl
from aecore.model.autoencoder import Autoencoder
from aecore.model.latents.categorical import Categorical as CategoricalLatent
from aecore.model.penalties.kl import KL
from aecore.model.penalties.l1 import L1Penalty
from aecore.model.priors.mixture import Mixture
from aecore.model.reconstruction.bernoulli import Bernoulli
from aecore.model.reconstruction.continuous_bernoulli import ContinuousBernoulli
from aecore.model.reconstruction.errors import MSE
from aecore.model.reconstruction.gaussian import GaussianLikelihood as GaussianPixels
from aecore.model.reconstruction.ssim import SSIM
from helpers.evaluation import measured
from helpers.models import gaussian, gen, images, linear, model, plain, weight
from helpers.trials import trial

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(autouse=True)
def _without_gradients() -> Any:
    with torch.no_grad():
        yield


def variational(dim: int = 3, spread: float = 3.0, **words: Any) -> Autoencoder:
    """A VAE whose posteriors lie `spread` times as far apart as at first."""
    whole = model(latent=gaussian(dim), penalties={"kl": KL()}, **words).eval()
    whole.latent.project[1].weight[:dim] *= spread
    return whole


def nothing(whole: Autoencoder) -> Autoencoder:
    """The same, its networks' weights 0: the posteriors are the prior, the outputs 0."""
    for part in (whole.encoder, whole.latent, whole.decoder):
        for parameter in part.parameters():
            parameter.zero_()
    return whole


def posteriors(whole: Autoencoder, x: Tensor) -> Normal:
    found: Any = whole.encode(x).posterior
    return Normal(found.mean.double(), found.variance.double().sqrt())


def use(threshold: float = 0.01, count: int = 100) -> PosteriorUse:
    return PosteriorUse(threshold=threshold, images=count)


PARTS = ("mutual_information", "total_correlation", "dimension_wise")


class TestPosterior:
    def test_units_and_divergences(self) -> None:
        on = trial(variational(4))
        on.model.latent.project[1].weight[1] = 0  # its mean is one number
        x = on.images.pixels()
        q = posteriors(on.model, x)
        each = kl_divergence(q, Normal(0.0, 1.0)).mean(0)
        kl = each.sort().values.tolist()
        spread = q.loc.var(0, correction=0)
        found = use()(on)
        assert found["active_units"] == 3
        between = float(spread.sort().values[1:3].mean())
        assert use(threshold=between)(on)["active_units"] == 2
        expected = {"kl_min": kl[0], "kl_median": (kl[1] + kl[2]) / 2, "kl_max": kl[3]}
        expected |= {f"kl_dim/{n}": value for n, value in enumerate(each.tolist())}
        assert {k: found[k] for k in expected} == pytest.approx(expected, rel=1e-4)
        assert "kl_dim/4" not in found
        assert found == use()(on), "bit for bit"

    def test_parts_are_those_of_the_exact_mixture(self) -> None:
        on = trial(variational())
        batches = list(on.batches())
        assert len(batches) > 2
        parts = decompose_kl(on, gen(1))
        generator = gen(1)
        z = torch.cat([on.model.encode(x, generator).z for x, _ in batches]).double()
        q = posteriors(on.model, on.images.pixels())
        even = torch.ones(23, dtype=torch.float64)
        own = Independent(q, 1)
        joint = MixtureSameFamily(Categorical(even), own).log_prob(z)
        each = Normal(q.loc.T, q.scale.T)
        product = MixtureSameFamily(Categorical(even.expand(3, -1)), each).log_prob(z).sum(1)
        prior = Normal(0.0, 1.0).log_prob(z).sum(1)
        expected = (own.log_prob(z) - joint, joint - product, product - prior)
        for part, answer in zip(parts, expected, strict=True):
            torch.testing.assert_close(part, answer, rtol=1e-4, atol=1e-4)

    def test_parts_sum_to_the_kl(self) -> None:
        on = trial(variational(), images=Split(images(2000, 1, 4, 4)), batch_size=700)
        found = use(count=2000)(on)
        kl = float(kl_divergence(posteriors(on.model, on.images.pixels()), Normal(0.0, 1.0)).mean())
        parts = [found[f"kl_{n}"] for n in PARTS]
        assert sum(parts) == pytest.approx(3 * kl, abs=5 * math.sqrt(3 / 2000))
        assert found["kl_mutual_information"] < math.log(2000)
        assert min(parts) > 0

    def test_information_of_codes_far_apart_and_of_none(self) -> None:
        far = use(count=17)(trial(variational(spread=1e4)))
        assert far["kl_mutual_information"] == pytest.approx(math.log(17), abs=1e-4)
        none = use()(trial(nothing(variational())))
        names = (*PARTS, "max")
        assert [none[f"kl_{name}"] for name in names] == pytest.approx([0] * 4, abs=1e-5)
        assert none["active_units"] == 0

    def test_codes_of_categories(self) -> None:
        words: dict[str, Any] = {"temperature": 1.0, "temperature_end": 1.0, "epochs": 0.0}
        latent = CategoricalLatent(variables=2, categories=3, hard=False, **words)
        found = use()(trial(model(latent=latent, penalties={"kl": KL()})))
        assert 0 <= found["kl_min"] <= found["kl_max"] < math.log(3)

    @pytest.mark.parametrize(("dim", "told"), [(1, 0), (64, 64), (65, 0)])
    def test_dimensions_are_told_where_they_are_few(self, dim: int, told: int) -> None:
        found = use()(trial(variational(dim)))
        assert sum(name.startswith("kl_dim/") for name in found) == told

    def test_a_learned_prior_has_one_kl(self) -> None:
        """And no divergence of single dimensions: the last two parts are KL(q(z) || p(z))."""
        on = trial(variational(prior=Mixture(components=3)))
        found = use()(on)
        assert found["kl_min"] == found["kl_max"]
        assert not {"kl_dim/0", "kl_dimension_wise"} & found.keys()
        generator = gen()
        for x, _ in on.batches():
            on.model.encode(x, generator)  # the draws of the KL come before those of the parts
        z = torch.cat([on.model.encode(x, generator).z for x, _ in on.batches()]).double()
        even = Categorical(torch.ones(23, dtype=torch.float64))
        own = Independent(posteriors(on.model, on.images.pixels()), 1)
        joint = MixtureSameFamily(even, own).log_prob(z)
        prior = on.model.prior_density.log_prob(z.float()).sum(1)
        assert found["kl_marginal"] == pytest.approx(float((joint - prior).mean()), abs=1e-4)

    def test_codes_without_a_posterior(self) -> None:
        with pytest.raises(SkippedError, match="no posterior"):
            use()(trial())


def black_and_white(n: int = 23) -> Split:
    return Split((images(n, 1, 4, 4) > 0.5).to(torch.uint8) * 255)


def bernoulli(targets: Any) -> Bernoulli:
    return Bernoulli(targets=targets, threshold=0.5)


class TestBits:
    def test_of_what_knows_nothing(self) -> None:
        coins = nothing(variational(reconstruction=bernoulli("threshold")))
        assert Bits()(trial(coins))["bits_per_dim"] == pytest.approx(1)
        grey = nothing(variational(reconstruction=ContinuousBernoulli()))
        assert Bits()(trial(grey))["bits_per_dim"] == pytest.approx(8)
        two = Bits()(trial(grey, images=black_and_white()))["bits_per_dim"]
        assert two == pytest.approx(1)

    @pytest.mark.parametrize("words", [MSE(), GaussianPixels(scale=0.3), bernoulli("stochastic")])
    def test_is_the_elbo_in_other_units(self, words: Any) -> None:
        on = trial(variational(reconstruction=words))
        elbo = measured(on.model, on.images)["test/elbo"]
        level = 8 if words.density else 0
        expected = level - elbo / (16 * math.log(2))
        assert Bits()(on)["bits_per_dim"] == pytest.approx(expected, rel=1e-6)

    def test_does_not_depend_on_the_models_range(self) -> None:
        unit = nothing(variational(reconstruction=GaussianPixels(scale=0.5 * 0.2)))
        unit.decoder[-2].bias += 0.4
        shift, scale = torch.full((1, 1, 1), 0.4), torch.full((1, 1, 1), 0.2)
        words = {"reconstruction": GaussianPixels(scale=0.5), "shift": shift, "scale": scale}
        same = nothing(variational(**words))
        assert torch.equal(same.scale, scale)
        answers = [Bits()(trial(whole))["bits_per_dim"] for whole in (unit, same)]
        assert answers[0] == pytest.approx(answers[1], rel=1e-5)

    def test_what_has_none(self) -> None:
        soft = trial(variational(reconstruction=bernoulli("soft")))
        with pytest.raises(SkippedError, match="grey pixels"):
            Bits()(soft)
        assert Bits()(trial(soft.model, images=black_and_white()))["bits_per_dim"] > 0
        for whole in (model(), variational(reconstruction=SSIM(window=3))):
            with pytest.raises(SkippedError, match="no ELBO"):
                Bits()(trial(whole))
        with pytest.raises(SkippedError, match="table"):
            Bits()(trial(variational(image_shape=(1, 1, 6))))


class TestEquivalentVariance:
    @pytest.mark.parametrize(
        ("reconstruction", "expected"), [(MSE(), 0.15), (GaussianPixels(scale=0.5), 0.075)]
    )
    def test_the_loss_is_that_of_the_gaussian_vae(
        self, reconstruction: Any, expected: float
    ) -> None:
        """Over w, but for a constant that no weight of the model changes."""
        x = images(9, 1, 4, 4)
        constants = []
        for seed in (0, 1):
            words: dict[str, Any] = {"seed": seed, "weights": {"kl": weight(0.3, "linear", 5)}}
            whole = variational(reconstruction=reconstruction, **words)
            sigma2 = EquivalentVariance()(trial(whole))["sigma2_equivalent"]
            assert sigma2 == pytest.approx(expected)
            true = variational(reconstruction=GaussianPixels(scale=sigma2**0.5), seed=seed)
            loss, elbo = (
                float(m.terms(x, gen(), epoch=math.inf, noisy=False).loss) for m in (whole, true)
            )
            constants.append(loss / 0.3 - elbo)
        assert constants[0] == pytest.approx(constants[1], rel=1e-4)

    def test_dimensions_of_a_linear_model(self) -> None:
        x = images(40, 1, 4, 4, seed=6)
        variances = torch.linalg.eigvalsh(torch.cov(x.flatten(1).T, correction=0))
        for rank in (2, 7):
            w = 2 * float(variances[-rank - 1 : -rank + 1].mean())  # between two of them
            words: dict[str, Any] = {"network": linear(), "weights": {"kl": weight(w)}}
            for dim in (3, 10):
                found = EquivalentVariance()(trial(variational(dim, **words)))
                assert found["linear_active_units"] == min(rank, dim)

    def test_large_images_and_other_losses(self) -> None:
        wide = variational(image_shape=(1, 65, 65), network=linear())
        assert EquivalentVariance()(trial(wide)) == {"sigma2_equivalent": 0.5}
        with pytest.raises(SkippedError, match="no squared error"):
            EquivalentVariance()(trial(variational(reconstruction=bernoulli("soft"))))
        with pytest.raises(SkippedError, match="no KL"):
            EquivalentVariance()(trial(model(latent=plain(3), penalties={"l1": L1Penalty()})))
