"""The likelihood of test images against models of which it is known."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

from aecore.data.split import Split
from aecore.errors import SkippedError
from aecore.evaluation.metrics.likelihood import Likelihood, log_likelihood
from aecore.model.autoencoder import Autoencoder
from aecore.model.latents.categorical import Categorical
from aecore.model.noise.noises import GaussianNoise, NoNoise
from aecore.model.passes import Inputs
from aecore.model.reconstruction.bernoulli import Bernoulli
from aecore.model.reconstruction.gaussian import GaussianLikelihood
from aecore.model.reconstruction.ssim import SSIM
from helpers.experiments import unpool
from helpers.linear_gaussian import SCALE, exact_gaussian, pictures
from helpers.models import gaussian, gen, images, mlp, model, plain
from helpers.trials import trial

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(autouse=True)
def _without_gradients() -> Any:
    with torch.no_grad():
        yield


def measured(
    whole: Autoencoder, x: Tensor, samples: int, images: int | None = None, **changes: Any
) -> dict[str, float]:
    on = trial(whole, images=Split(x), **changes)
    return Likelihood(samples=samples, images=images)(on)


def counted(whole: Autoencoder) -> tuple[list[int], list[int]]:
    """Images per call of the encoder and codes per call of the decoder, as they come."""
    seen: list[int] = []
    decoded: list[int] = []
    whole.encoder.register_forward_hook(lambda _, given, found: seen.append(len(given[0])))
    whole.decoder.register_forward_hook(lambda _, given, found: decoded.append(len(given[0])))
    return seen, decoded


class TestExactPosterior:
    @pytest.mark.parametrize("samples", [1, 3])
    def test_one_sample_is_enough(self, samples: int) -> None:
        whole, rows = exact_gaussian(exact=True)
        log_p = rows[:, 5]
        found = measured(whole, pictures(rows), samples, batch_size=150)
        error = float(log_p.std()) / math.sqrt(len(log_p))
        assert found["nll"] == pytest.approx(-float(log_p.mean()), abs=1e-11)
        assert found["nll_standard_error"] == pytest.approx(error, abs=1e-11)
        assert found["elbo_gap"] == pytest.approx(0, abs=1e-11)

    def test_of_a_part_of_the_images(self) -> None:
        whole, rows = exact_gaussian(exact=True)
        part = measured(whole, pictures(rows), 1, images=50)
        assert part != measured(whole, pictures(rows), 1, images=50, seed=1)
        assert part != measured(whole, pictures(rows), 1)
        error = float(rows[:, 5].std()) / math.sqrt(50)
        assert part["nll_standard_error"] == pytest.approx(error, rel=0.3)
        assert abs(part["nll"] + float(rows[:, 5].mean())) < 4 * error
        single = measured(whole, pictures(rows), 1, images=1)
        assert single.keys() == {"nll", "elbo_gap"}, "one image says nothing of the others"


class TestOtherPosteriors:
    def test_a_linear_gaussian(self) -> None:
        """-log p(x) as it is positive, the gap as KL(q(z | x) || p(z | x))."""
        whole, rows = exact_gaussian(seed=1, images=60)
        found = measured(whole, pictures(rows), 3000)
        assert found["nll"] == pytest.approx(-float(rows[:, 5].mean()), abs=0.01) and (
            found["nll"] > 0
        )
        weight = whole.decoder[1].weight
        precision = weight.T @ weight / SCALE**2 + torch.eye(2, dtype=torch.float64)
        centred = (rows[:, :5] - whole.decoder[1].bias) @ weight / SCALE**2
        true = MultivariateNormal(
            torch.linalg.solve(precision, centred.T).T, precision_matrix=precision
        )
        q = whole.encode(pictures(rows)).posterior
        assert q is not None
        gap = kl_divergence(MultivariateNormal(q.mean, q.variance.diag_embed()), true).mean()
        assert float(gap) > 0.1
        assert found["elbo_gap"] == pytest.approx(float(gap), rel=0.02)

    def test_a_categorical_code(self) -> None:
        latent = Categorical(
            variables=1, categories=3, temperature=1.0, temperature_end=0.5, epochs=1, hard=False
        )
        whole = model(latent=latent, reconstruction=GaussianLikelihood(scale=0.4)).double()
        x = images(5, 1, 4, 4, dtype=torch.float64)
        every = torch.stack(
            [
                -whole.reconstruction(whole.output(one.expand(5, -1)), x)
                for one in torch.eye(3, dtype=torch.float64)
            ]
        )
        expected = -float((every.logsumexp(0) - math.log(3)).mean())
        assert measured(whole, x, 20000)["nll"] == pytest.approx(expected, abs=0.02)

    def test_images_are_encoded_without_noise(self) -> None:
        words: dict[str, Any] = {
            "latent": gaussian(2),
            "reconstruction": GaussianLikelihood(scale=1.0),
        }
        clean, noisy = (
            model(noise=noise, **words) for noise in (NoNoise(), GaussianNoise(std=9.0))
        )
        x = images(9, 1, 4, 4)
        assert measured(clean, x, 3) == measured(noisy, x, 3)

    def test_pixels_that_are_drawn(self) -> None:
        """No code, no information: every pixel is white with probability 1/2."""
        whole = model(
            latent=gaussian(2), reconstruction=Bernoulli(targets="stochastic", threshold=0.5)
        )
        for parameter in whole.parameters():
            parameter.zero_()
        found = measured(whole, images(9, 1, 4, 4), 10)
        assert found["nll"] == pytest.approx(16 * math.log(2), rel=1e-6)


class TestWork:
    @pytest.mark.parametrize(("rows", "calls"), [(8, [8] * 12 + [4]), (5, [4] * 25), (999, [100])])
    def test_every_sample_is_decoded_and_every_image_encoded_once(
        self, rows: int, calls: list[int]
    ) -> None:
        whole, table = exact_gaussian(exact=True, images=4)
        seen, decoded = counted(whole.eval())
        half = whole.encoder_pass(Inputs(pictures(table), gen(), noisy=False))
        log_p, elbo = log_likelihood(whole, whole.prior_density, half, gen(), 25, rows)
        assert seen == [4] and decoded == calls
        torch.testing.assert_close(log_p, table[:, 5])
        torch.testing.assert_close(elbo, table[:, 5])

    @pytest.mark.parametrize("samples", [1, 40])
    def test_as_many_samples_as_asked_for(self, samples: int) -> None:
        whole = model(latent=gaussian(3))
        seen, decoded = counted(whole)
        measured(whole, images(23, 1, 4, 4), samples, batch_size=7)
        assert seen == [7, 7, 7, 2] and sum(decoded) == 23 * samples

    def test_large_images_are_decoded_in_parts(self) -> None:
        whole = model(image_shape=(1, 512, 512), network=mlp(1), latent=gaussian(1))
        seen, decoded = counted(whole)
        measured(whole, images(3, 1, 512, 512), 10, batch_size=7)
        assert max(decoded) <= 4 and sum(decoded) == 30 and seen == [3]

    def test_again_is_the_same(self) -> None:
        whole = model(latent=gaussian(3))
        x = images(23, 1, 4, 4)
        assert measured(whole, x, 5) == measured(whole, x, 5)
        assert measured(whole, x, 5) != measured(whole, x, 5, seed=1)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"latent": plain(3)}, "no posterior"),
        ({"reconstruction": SSIM(window=3)}, "no likelihood"),
        ({"network": unpool()}, "places of the maxima"),
        ({"reconstruction": Bernoulli(targets="soft", threshold=0.5)}, "targets=stochastic"),
    ],
)
def test_does_not_apply(words: dict[str, Any], says: str) -> None:
    with pytest.raises(SkippedError, match=says):
        measured(model(**({"latent": gaussian(3)} | words)), images(9, 1, 4, 4), 2)
