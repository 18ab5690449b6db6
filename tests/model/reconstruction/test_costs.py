"""Costs beyond squared error: a density on [0, 1], log cosh, structural similarity."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import get_args

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.distributions import ContinuousBernoulli as TorchContinuousBernoulli
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

from aecore.errors import UserError
from aecore.model.latents.deterministic import Spatial
from aecore.model.penalties.kl import KL
from aecore.model.reconstruction.base import Reconstruction
from aecore.model.reconstruction.continuous_bernoulli import ContinuousBernoulli, log_integral, mean
from aecore.model.reconstruction.logcosh import LogCosh, log_cosh
from aecore.model.reconstruction.ssim import MSSSIM, SSIM, Window
from helpers.evaluation import measured, split
from helpers.models import conv, gaussian, gen, images, mlp, model

LOGITS = [0.0, 1e-9, -1e-4, 0.01, 0.5999, -0.6001, 2.0, -7.0, 60.0, -300.0]


def wide(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


class TestContinuousBernoulli:
    def density(self, logit: float, x: Tensor) -> Tensor:
        pixels = x.view(-1, 1, 1, 1)
        return (-ContinuousBernoulli()(torch.full_like(pixels, logit), pixels)).exp()

    @pytest.mark.parametrize("logit", LOGITS)
    def test_integrates_to_1_and_has_that_mean(self, logit: float) -> None:
        middles = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
        density = self.density(logit, middles)
        assert float(density.mean()) == pytest.approx(1, abs=1e-6)
        found = float(ContinuousBernoulli().image(wide([logit])))
        assert found == pytest.approx(float((middles * density).mean()), abs=1e-6)

    def test_against_torch(self) -> None:
        """Which has its own series where lambda is within 0.001 of 1/2, and is coarser there."""
        output = 3 * torch.randn(5, 2, 4, 4, generator=gen(), dtype=torch.float64)
        x = images(5, 2, 4, 4, dtype=torch.float64)
        theirs = TorchContinuousBernoulli(logits=output)
        found = ContinuousBernoulli()(output, x)
        torch.testing.assert_close(found, -theirs.log_prob(x).flatten(1).sum(1), rtol=0, atol=1e-5)
        torch.testing.assert_close(mean(output), theirs.mean, rtol=0, atol=1e-6)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_series_and_formula_meet(self, dtype: torch.dtype) -> None:
        below, above = torch.tensor([0.6 - 1e-5, 0.6 + 1e-5], dtype=dtype)
        precise = 1e-6 if dtype == torch.float32 else 1e-11
        for function in (log_integral, mean):
            slope = float(function(above.double() + 1e-3) - function(above.double())) / 1e-3
            step = float(function(above) - function(below))
            assert step == pytest.approx(slope * float(above - below), abs=precise + 1e-8)

    def test_gradients(self) -> None:
        """The slope of log of the integral is the mean; finite even for absurd logits, and at 0."""
        a = torch.tensor([*LOGITS, 3e4, -3e4], dtype=torch.float64, requires_grad=True)
        log_integral(a).sum().backward()
        assert a.grad is not None
        torch.testing.assert_close(a.grad, mean(a.detach()), rtol=1e-9, atol=1e-12)
        inner = a.detach()[:8].requires_grad_()
        assert torch.autograd.gradcheck(mean, inner)
        assert torch.autograd.gradcheck(log_integral, inner)

    def test_a_model_shows_the_mean_and_not_the_sigmoid(self) -> None:
        whole = model(reconstruction=ContinuousBernoulli())
        z = torch.randn(5, 3, generator=gen())
        logits = whole.decoder(z)
        assert torch.equal(whole.decode(z), mean(logits))
        moved = (whole.decode(z) - 0.5).abs() <= (logits.sigmoid() - 0.5).abs()
        assert bool(moved.all()) and not torch.allclose(whole.decode(z), logits.sigmoid())

    def test_the_best_image_is_the_mean_of_the_images(self) -> None:
        """Unlike with the Bernoulli's missing constant, whose sigmoid is the mean."""
        x = images(200, 1, 1, 3, dtype=torch.float64) * torch.tensor([0.2, 1.0, 0.7])
        logits = torch.zeros(1, 1, 1, 3, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([logits], max_iter=100, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = ContinuousBernoulli()(logits.expand(200, 1, 1, 3), x).mean()
            loss.backward()
            return loss

        optimizer.step(closure)  # type: ignore[no-untyped-call]
        torch.testing.assert_close(mean(logits.detach())[0], x.mean(0), rtol=0, atol=1e-5)

    def test_needs_logits_of_pixels(self) -> None:
        cost = ContinuousBernoulli()
        with pytest.raises(UserError, match=r"output_activation=null"):
            model(network=mlp(5, output_activation="sigmoid"), reconstruction=cost)
        ones = torch.ones(1, 1, 1)
        with pytest.raises(UserError, match=r"continuous_bernoulli.*\n.*dataset\.range=unit"):
            model(reconstruction=cost, shift=ones, scale=ones)


class TestLogCosh:
    def test_is_the_logarithm_of_cosh(self) -> None:
        e = torch.linspace(-20, 20, 401, dtype=torch.float64)
        torch.testing.assert_close(log_cosh(e), e.cosh().log(), rtol=1e-9, atol=1e-15)
        output, x = e.view(1, 1, 1, -1) + 0.5, torch.full((1, 1, 1, 401), 0.5, dtype=torch.float64)
        assert float(LogCosh()(output, x)) == pytest.approx(float(e.cosh().log().sum()), rel=1e-10)

    @pytest.mark.parametrize("error", [1e-4, -1e-4])
    def test_small_errors_are_squared(self, error: float) -> None:
        assert float(log_cosh(wide([error]))) == pytest.approx(error**2 / 2, rel=1e-6)

    @pytest.mark.parametrize("error", [1e3, -1e6, 1e30])
    def test_large_errors_are_absolute(self, error: float) -> None:
        e = torch.tensor([error], requires_grad=True)
        cost = log_cosh(e)
        cost.backward()
        assert float(cost.detach()) == pytest.approx(abs(error) - math.log(2), rel=1e-6)
        assert e.grad is not None and float(e.grad) == math.copysign(1, error)

    def test_its_constant_makes_a_density(self) -> None:
        e = torch.linspace(-40, 40, 80_001, dtype=torch.float64)
        density = (LogCosh().log_constant(1) - log_cosh(e)).exp()
        assert float(torch.trapezoid(density, e)) == pytest.approx(1, abs=1e-9)
        assert LogCosh().log_constant(7) == pytest.approx(7 * LogCosh().log_constant(1))


COSTS = {
    "ssim": SSIM(window=11),
    "small ssim": SSIM(window=3),
    "ms_ssim": MSSSIM(window=7, scales=2),
    "ms_ssim of 1": MSSSIM(window=5, scales=1),
}


def noisy(x: Tensor, share: float) -> Tensor:
    return (1 - share) * x + share * images(*x.shape, seed=9, dtype=x.dtype)


def logits(x: Tensor) -> Tensor:
    """What a decoder gives to show these pixels."""
    return torch.logit(x.clamp(1e-9, 1 - 1e-9))


@pytest.mark.parametrize("name", COSTS)
class TestSimilarity:
    def test_what_it_compares_are_pixels(self, name: str) -> None:
        """The negative of an image, -x, would be as like as the image is."""
        whole = model(image_shape=(1, 16, 16), reconstruction=COSTS[name])
        z = torch.randn(5, 3, generator=gen())
        assert torch.equal(whole.decode(z), whole.decoder(z).sigmoid())

    def test_equal_images_cost_nothing(self, name: str) -> None:
        x = images(3, 2, 16, 20, dtype=torch.float64)
        assert COSTS[name](logits(x), x).tolist() == pytest.approx([0, 0, 0], abs=1e-9)

    def test_the_less_alike_the_more_it_costs(self, name: str) -> None:
        x = images(3, 2, 16, 20, dtype=torch.float64)
        costs = [COSTS[name](logits(noisy(x, share)), x) for share in (0.1, 0.3, 0.6, 1.0)]
        for less, more in pairwise(costs):
            assert bool((less < more).all())
        assert bool((costs[0] > 0).all()) and bool((costs[-1] < 2 * x[0].numel()).all())

    def test_images_count_on_their_own(self, name: str) -> None:
        x = images(4, 1, 16, 16, dtype=torch.float64)
        together = COSTS[name](noisy(x, 0.4), x)
        alone = [float(COSTS[name](noisy(x, 0.4)[i : i + 1], x[i : i + 1])) for i in range(4)]
        assert together.tolist() == pytest.approx(alone, rel=1e-9)

    def test_gradients_are_numbers(self, name: str) -> None:
        """Also where images are constant, equal, or opposite, and powers of 0 would be taken."""
        x = torch.stack([torch.zeros(1, 16, 16), torch.ones(1, 16, 16), *images(2, 1, 16, 16)])
        for output in (x, 1 - x, torch.zeros_like(x), -x):
            raw = output.clone().requires_grad_()
            cost = COSTS[name](raw, x)
            cost.sum().backward()
            assert cost.isfinite().all()
            assert raw.grad is not None and raw.grad.isfinite().all()

    def test_the_opposite_is_led_back(self, name: str) -> None:
        """Negative similarity must have a slope."""
        x = images(4, 1, 16, 16)
        raw = logits(1 - x).requires_grad_()
        COSTS[name](raw, x).sum().backward()
        assert raw.grad is not None
        downhill = raw.detach() - 0.01 * raw.grad / raw.grad.flatten(1).norm(dim=1).view(4, 1, 1, 1)
        assert bool((COSTS[name](downhill, x) < COSTS[name](raw.detach(), x)).all())

    def test_there_is_no_elbo(self, name: str) -> None:
        whole = model(
            image_shape=(1, 16, 16),
            latent=gaussian(2),
            reconstruction=COSTS[name],
            penalties={"kl": KL()},
        )
        found = measured(whole, split(9, 1, 16, 16))
        assert "test/kl" in found and "test/elbo" not in found


def test_the_scales_count_as_in_the_paper() -> None:
    """As torchmetrics has them for five; of fewer the leading ones."""
    x = images(2, 1, 176, 176, dtype=torch.float64)
    other = noisy(x, 0.3)
    every = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, page 1400
    for scales in (5, 3):
        betas = tuple(share / sum(every[:scales]) for share in every[:scales])
        likeness = multiscale_structural_similarity_index_measure(
            other, x, data_range=1.0, betas=betas, normalize="simple", reduction="none"
        )
        cost = MSSSIM(window=11, scales=scales)(logits(other), x)
        torch.testing.assert_close(cost, 176**2 * (1 - likeness), rtol=1e-6, atol=1e-6)


class TestWindows:
    @pytest.mark.parametrize("window", get_args(Window))
    def test_a_window_has_its_size(self, window: int) -> None:
        """An image of just that size holds it; a pixel beyond half of it does not matter."""
        x = torch.zeros(1, 1, 64, 64, dtype=torch.float64)
        y = x.clone()
        y[0, 0, 30, 30] = 1
        whole = structural_similarity_index_measure(
            x, y, sigma=1.5 * window / 11, data_range=1.0, reduction="none", return_full_image=True
        )
        assert isinstance(whole, tuple)
        changed = (whole[1][0, 0] < 1).nonzero()
        reach = (window - 1) // 2
        assert changed.min(0).values.tolist() == [30 - reach] * 2
        assert changed.max(0).values.tolist() == [30 + reach] * 2

    def test_the_papers_window_by_hand(self) -> None:
        """Of two constant images only the light differs: (2 a b + c) / (a^2 + b^2 + c)."""
        x, y = (torch.full((1, 3, 12, 12), v, dtype=torch.float64) for v in (0.2, 0.7))
        expected = (2 * 0.14 + 1e-4) / (0.04 + 0.49 + 1e-4)
        cost = SSIM(window=11)(logits(x), y)
        assert cost.tolist() == pytest.approx([3 * 144 * (1 - expected)], rel=1e-9)

    @pytest.mark.parametrize(
        ("cost", "side"),
        [
            (SSIM(window=11), 11),
            (SSIM(window=3), 3),
            (MSSSIM(window=7, scales=2), 8),
            (MSSSIM(window=3, scales=3), 12),
            (MSSSIM(window=11, scales=5), 176),
            (MSSSIM(window=3, scales=1), 3),
        ],
        ids=lambda v: str(v) if isinstance(v, int) else "",
    )
    def test_the_smallest_images(self, cost: Reconstruction, side: int) -> None:
        words = {"network": conv(1), "latent": Spatial(channels=1, activation=None)}
        whole = model(image_shape=(1, side, side), reconstruction=cost, **words)
        x = images(2, 1, side, side)
        terms = whole.terms(x, gen(), epoch=0, noisy=False)
        assert terms.loss.isfinite()
        for shape in ((1, side - 1, side), (1, side, side - 1)):
            with pytest.raises(UserError, match=rf"{side}x{side}(.|\n)*reconstruction=mse") as told:
                model(image_shape=shape, reconstruction=cost, **words)
            text = str(told.value)
            assert len(text.splitlines()) <= 3
            assert ("fewer" in text) == (isinstance(cost, MSSSIM) and cost.scales > 1)

    def test_standardised_images(self) -> None:
        ones = torch.ones(1, 1, 1)
        with pytest.raises(UserError, match=r"standardised.*ssim.*\n.*dataset\.range=unit"):
            model(reconstruction=SSIM(window=3), shift=ones, scale=ones)

    @pytest.mark.parametrize("window", [1, 4, 45, 0])
    def test_wrong_windows(self, window: int) -> None:
        with pytest.raises(ValidationError):
            SSIM(window=window)
