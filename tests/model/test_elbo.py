"""The ELBO against log-likelihoods that are known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from aecore.data.split import Split
from aecore.model.autoencoder import Autoencoder
from aecore.model.penalties.kl import KL
from aecore.model.reconstruction.base import Reconstruction
from aecore.model.reconstruction.bernoulli import Bernoulli
from aecore.model.reconstruction.errors import MSE
from aecore.model.reconstruction.errors import L1Loss as L1Error
from aecore.model.reconstruction.gaussian import GaussianLikelihood
from helpers.evaluation import measured, split
from helpers.linear_gaussian import exact_gaussian, pictures
from helpers.models import gaussian, images, linear, model, weight


def charged(seed: int = 0, exact: bool = False) -> tuple[Autoencoder, Tensor]:
    """The model with a KL that counts four times."""
    return exact_gaussian(seed, exact, penalties={"kl": KL()}, weights={"kl": weight(4.0)})


class TestElbo:
    def test_is_the_log_likelihood_for_the_exact_posterior(self) -> None:
        whole, rows = charged(exact=True)
        on = Split(pictures(rows))
        found = measured(whole, on, batch_size=150)["test/elbo"]
        # log p(x | z) - log q + log p is constant; one draw of log p(x | z) less the KL is not
        draws = [measured(whole, on, seed=seed)["test/elbo"] for seed in range(40)]
        mean, std = torch.tensor(draws).mean(), torch.tensor(draws).std()
        assert abs(float(mean) - float(rows[:, 5].mean())) < 4.5 * float(std) / 40**0.5
        assert abs(found - float(rows[:, 5].mean())) < 6 * float(std)
        assert 0 < float(std) < 0.2

    @pytest.mark.parametrize("seed", range(5))
    def test_is_below_the_log_likelihood(self, seed: int) -> None:
        whole, rows = charged(seed)
        on = Split(pictures(rows))
        draws = [measured(whole, on, seed=seed)["test/elbo"] for seed in range(10)]
        assert sum(draws) / 10 < float(rows[:, 5].mean())

    def test_counts_the_kl_once_whatever_its_weight(self) -> None:
        heavy, rows = charged()
        on = Split(pictures(rows))
        found = measured(heavy, on)
        p = heavy.run(on.images, None, noisy=False, sample=False)
        assert p.code.posterior is not None
        kl = float(p.code.posterior.kl_standard().sum().detach()) / 400
        assert found["test/kl"] == pytest.approx(kl, rel=1e-9)
        assert found["test/loss"] == pytest.approx(found["test/reconstruction"] + 4 * kl, rel=1e-6)
        heavy.weights = {"kl": weight(0.0)}
        light = measured(heavy, on)
        assert light["test/elbo"] == found["test/elbo"] and light["test/kl"] == found["test/kl"]
        heavy.penalties = nn.ModuleDict()
        bare = measured(heavy, on)
        assert bare["test/elbo"] == found["test/elbo"] and bare["test/kl"] == found["test/kl"]

    @pytest.mark.parametrize(
        ("cost", "constant"),
        [
            (MSE(), -8 * math.log(math.pi)),
            (L1Error(), -16 * math.log(2)),
            (Bernoulli(targets="soft", threshold=0.5), 0.0),
            (GaussianLikelihood(scale="learned"), 0.0),
        ],
        ids=type,
    )
    def test_holds_the_constant_of_the_likelihood(
        self, cost: Reconstruction, constant: float
    ) -> None:
        whole = model(latent=gaussian(3), reconstruction=cost, penalties={"kl": KL()}).double()
        on = Split(images(500, 1, 4, 4, dtype=torch.float64))
        with torch.no_grad():  # hardly any variance, so that the draw is the mean
            whole.latent.project[1].bias[3:] = -1e3
        found = measured(whole, on)
        p = whole.run(on.images, None, noisy=False, sample=False)
        expected = constant - float(cost(p.output, p.x).mean().detach()) - found["test/kl"]
        assert found["test/elbo"] == pytest.approx(expected, abs=0.02)

    def test_draws_the_code(self) -> None:
        """On the mean code it would be no bound."""
        whole = model(network=linear(), latent=gaussian(3), penalties={"kl": KL()})
        with torch.no_grad():
            whole.latent.project[1].bias[3:] = 3.0
        found = measured(whole, split(200))
        p = whole.run(split(200).pixels(), None, noisy=False, sample=False)
        on_the_mean = float(whole.reconstruction(p.output, p.x).mean().detach())
        drawn = -8 * math.log(math.pi) - found["test/elbo"] - found["test/kl"]
        assert drawn > on_the_mean * 1.2
