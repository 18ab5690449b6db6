"""Posterior collapse: the theory of linear VAEs, what it predicts, and what is detected."""

from __future__ import annotations

import logging
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from aecore.cli import main
from aecore.data.split import Split
from aecore.evaluation.collapse import (
    directions_above,
    explained_share,
    warn_if_collapsed,
    warn_of_collapse,
)
from aecore.evaluation.trial import Trial
from aecore.model.autoencoder import Autoencoder
from aecore.model.latents.gaussian import LOG_VAR_BOUND
from aecore.model.penalties.kl import KL
from aecore.model.reconstruction.base import Reconstruction
from aecore.model.reconstruction.bernoulli import Bernoulli
from aecore.model.reconstruction.errors import MSE
from aecore.model.reconstruction.gaussian import GaussianLikelihood
from helpers.models import gaussian, gen, images, linear, model, weight

SPECTRUM = (4.0, 2.0, 1.0, 0.5, 0.25)


def known(spectrum: tuple[float, ...], n: int, *shape: int) -> Split:
    """n images whose covariance has exactly these eigenvalues, all others are 0."""
    centred = torch.randn(n, len(spectrum), generator=gen(), dtype=torch.float64)
    left, _ = torch.linalg.qr(centred - centred.mean(0))
    pixels = torch.Size(shape).numel()
    right, _ = torch.linalg.qr(torch.randn(pixels, len(spectrum), generator=gen(1)).double())
    scales = (n * torch.tensor(spectrum, dtype=torch.float64)).sqrt()
    return Split((7 + (left * scales) @ right.T).float().view(n, *shape))


def vae(reconstruction: Reconstruction, beta: float = 1.0, **changes: Any) -> Autoencoder:
    """A VAE of (1, 4, 4) images with 4 latent dimensions."""
    values: dict[str, Any] = {"latent": gaussian(4), "penalties": {"kl": KL()}} | changes
    if values["penalties"]:
        values["weights"] = {"kl": weight(beta)}
    return model(reconstruction=reconstruction, **values)


@pytest.mark.parametrize("shape", [(1, 4, 4), (2, 8, 8)], ids=["many images", "many pixels"])
def test_directions_are_counted(shape: tuple[int, ...]) -> None:
    split, whole = known(SPECTRUM, 40, *shape), model(image_shape=shape)
    for level in (0.1, 0.3, 0.9, 1.1, 3.0, 5.0):
        assert directions_above(level, whole, split) == sum(v > level for v in SPECTRUM)


def test_directions_are_those_that_the_model_sees() -> None:
    split = known(SPECTRUM, 40, 1, 4, 4)
    whole = model(shift=torch.full((1, 1, 1), 7.0), scale=torch.full((1, 1, 1), 2.0))
    assert directions_above(0.9, whole, split) == 1  # a quarter of each variance


@pytest.mark.parametrize("beta", [0.5, 4.0])
@pytest.mark.parametrize("times", [0.5, 0.9, 1.1, 3.0])
def test_a_direction_is_used_where_its_variance_is_above_beta_times_the_noise(
    beta: float, times: float
) -> None:
    """The expected loss in one direction of data of that variance, made as small as can be."""
    variance = MSE().variance
    assert variance is not None
    data = times * beta * variance

    def loss(weights: Any) -> float:
        """Of x ~ N(0, data): z ~ N(a x, exp(2 b)), squared error of c z, beta times the KL."""
        a, b, c = map(float, weights)
        spread = math.exp(2 * b)
        error = (1 - a * c) ** 2 * data + c**2 * spread
        return error + beta * 0.5 * (a**2 * data + spread - 1 - 2 * b)

    best = minimize(loss, [1.0, -0.5, 1.0], method="BFGS", options={"gtol": 1e-9})
    explained = float(best.x[0]) ** 2 * data
    # where it is used, a share 1 - 1 / times of the code's variance says what x is
    assert explained == pytest.approx(max(0.0, 1 - 1 / times), abs=2e-3)


class TestForetold:
    split = known(SPECTRUM, 40, 1, 4, 4)

    def said(self, whole: Autoencoder, caplog: pytest.LogCaptureFixture) -> list[str]:
        with caplog.at_level(logging.WARNING, "aecore"):
            warn_of_collapse(whole, self.split)
        return [record.getMessage() for record in caplog.records]

    @pytest.mark.parametrize(
        ("reconstruction", "beta", "kept"),
        [
            (MSE(), 3.0, 2), (MSE(), 6.0, 1), (MSE(), 9.0, 0),
            (GaussianLikelihood(scale=1.0), 1.5, 2), (GaussianLikelihood(scale=2.0), 0.9, 1),
        ],
    )  # fmt: skip
    def test_warned_below_half(
        self,
        reconstruction: Reconstruction,
        beta: float,
        kept: int,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        said = self.said(vae(reconstruction, beta), caplog)
        if kept == 2:
            assert said == []
        else:
            (line,) = said
            assert f"penalty.kl.weight={beta:g} with noise" in line and "\n" not in line
            assert f"would use {kept} of 4 latent dimensions" in line

    @pytest.mark.parametrize(
        "whole",
        [
            vae(Bernoulli(targets="soft", threshold=0.5), 99.0),
            vae(GaussianLikelihood(scale="learned"), 99.0),
            vae(MSE(), 0.0),
            vae(MSE(), penalties={}),
            model(reconstruction=MSE()),
        ],
        ids=["no squared error", "learned", "no weight", "no penalty", "no posterior"],
    )
    def test_silent_where_the_theory_is(
        self, whole: Autoencoder, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert self.said(whole, caplog) == []

    def test_the_final_weight_counts(self, caplog: pytest.LogCaptureFixture) -> None:
        whole = vae(MSE())
        whole.weights["kl"] = weight(9.0, "linear", 10)
        assert "penalty.kl.weight=9" in self.said(whole, caplog)[0]


class TestFound:
    def whole(self, mean: Tensor, log_var: Tensor) -> Autoencoder:
        """Codes of `mean` times the first pixels, with that logarithm of the variance."""
        whole = vae(MSE(), network=linear()).eval()
        with torch.no_grad():
            matrix, bias = whole.latent.project[1].weight, whole.latent.project[1].bias
            matrix.zero_(), bias.zero_()
            matrix[:4, :4] = mean.diag()
            bias[4:] = log_var
        return whole

    def test_activity_is_the_share_of_the_variance(self) -> None:
        whole = self.whole(torch.tensor([0.0, 1.0, 3.0, -1.0]), torch.tensor([0.0, 0.0, 0.0, -2.0]))
        x = images(700, 1, 4, 4)
        spread = x.flatten(1)[:, :4].double().var(0, correction=0)
        found = explained_share(Trial(whole, Split(x)))
        least = math.exp(LOG_VAR_BOUND * math.tanh(-2 / LOG_VAR_BOUND))
        for j, (a, v) in enumerate([(0, 1), (1, 1), (9, 1), (1, least)]):
            share = a * spread[j] / (a * spread[j] + v)
            assert float(found[j]) == pytest.approx(float(share), rel=1e-5)

    @pytest.mark.parametrize(("slope", "lines"), [(0.05, 1), (0.2, 0), (0.5, 0)])
    def test_one_latent_is_enough(
        self, slope: float, lines: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        whole = self.whole(torch.tensor([0.0, 0.0, 2 * slope, 0.0]), torch.zeros(4))
        with caplog.at_level(logging.WARNING, "aecore"):
            warn_if_collapsed(Trial(whole, Split(images(100, 1, 4, 4))))
        said = [record.getMessage() for record in caplog.records]
        assert len(said) == lines
        assert all("penalty.kl.schedule=linear" in line for line in said)

    def test_plain_codes_have_no_posterior_to_collapse(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        warn_if_collapsed(Trial(model().eval(), Split(images(9, 1, 4, 4))))
        assert caplog.records == []


RUN = ["model=vae", "latent.dim=4", "figures=none", "logger=none", "hydra.run.dir=run"]


@pytest.mark.parametrize(
    ("words", "warned"),
    [
        (["reconstruction=mse", "penalty.kl.weight=50", "trainer.max_epochs=2"], 3),
        (
            [
                "reconstruction=gaussian",
                "reconstruction.gaussian.scale=0.1",
                "trainer.max_epochs=4",
            ],
            0,
        ),
    ],
    ids=["collapses", "does not"],
)
def test_a_run_says_both(
    words: list[str],
    warned: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*RUN, *words]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(lines) == warned
    if warned:
        assert re.search("a linear VAE would use 0 of 4 latent dimensions", lines[0])
        assert re.search("test/mse .* is no better than the mean image", lines[1])
        assert re.search("the code has collapsed", lines[2])
