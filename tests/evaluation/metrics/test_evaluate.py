"""Errors of images, and what is measured on a split, clean and noisy."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from aecore.data.split import Split
from aecore.evaluation.metrics.common import NoisyMetrics
from aecore.evaluation.metrics.images import psnr, squared_error, ssim, ssim_applies
from aecore.evaluation.trial import Trial
from aecore.model.autoencoder import Autoencoder
from aecore.model.noise.base import Noise
from aecore.model.noise.noises import Dropout, GaussianNoise, NoNoise, SaltAndPepper
from aecore.model.penalties.kl import KL
from aecore.model.penalties.l1 import L1Penalty
from aecore.model.reconstruction.bernoulli import Bernoulli
from helpers.evaluation import measured, split
from helpers.models import conv, gaussian, gen, images, linear, mlp, model, plain, weight


class TestImages:
    def test_squared_error(self) -> None:
        a, b = images(5, 2, 3, 4), images(5, 2, 3, 4, seed=1)
        pairs = zip(a.flatten(1).tolist(), b.flatten(1).tolist(), strict=True)
        slow = [sum((u - v) ** 2 for u, v in zip(x, y, strict=True)) / 24 for x, y in pairs]
        assert squared_error(a, b).tolist() == pytest.approx(slow, rel=1e-5)

    def test_ssim_of_what_lies_outside(self) -> None:
        """-x is no better than black, though formulas would find it much like x."""
        x = images(3, 1, 16, 16)
        assert torch.equal(ssim(-x, x), ssim(torch.zeros_like(x), x))
        assert float(ssim(-x, x).max()) < 0.1 and torch.equal(ssim(x + 2, x), ssim(x * 0 + 1, x))

    def test_psnr(self) -> None:
        assert (
            psnr(0.01) == pytest.approx(20) and psnr(1.0) == 0 and psnr(1e-4) == pytest.approx(40)
        )
        assert psnr(0.0) == math.inf

    @pytest.mark.parametrize("side", [7, 8, 11, 12, 13, 28])
    @pytest.mark.parametrize("channels", [1, 3])
    def test_ssim_of_equals_is_one(self, side: int, channels: int) -> None:
        x = images(4, channels, side, side)
        assert ssim(x, x).tolist() == pytest.approx([1] * 4, abs=1e-5)
        flat = torch.full_like(x, 0.3)
        # a variance of rounding errors stands against 0.03^2
        assert ssim(flat, flat).tolist() == pytest.approx([1] * 4, abs=5e-4)

    @pytest.mark.parametrize("side", [7, 8, 28])
    def test_ssim_falls_with_noise_and_knows_order(self, side: int) -> None:
        x, noise = images(4, 1, side, side), images(4, 1, side, side, seed=1) - 0.5
        little, much = ssim(x + 0.1 * noise, x), ssim(x + noise, x)
        assert bool((little < 1).all() and (much < little).all())
        torch.testing.assert_close(ssim(x, x + noise), much)

    @pytest.mark.parametrize("side", [7, 10, 11, 12, 28])
    @pytest.mark.parametrize("channels", [1, 3])
    def test_ssim_is_that_of_scikit_image(self, side: int, channels: int) -> None:
        from skimage import metrics  # slow to import

        x = images(4, channels, side, side + 3)
        y = (x + 0.3 * (images(4, channels, side, side + 3, seed=1) - 0.5)).clamp(0, 1)
        wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        options = {"data_range": 1.0, "channel_axis": 0, **(wang if side >= 11 else {})}
        pairs = zip(x.double().numpy(), y.double().numpy(), strict=True)
        expected = [metrics.structural_similarity(a, b, **options) for a, b in pairs]
        assert ssim(y, x).tolist() == pytest.approx(expected, abs=5e-6)

    def test_ssim_of_one_image(self) -> None:
        x = images(1, 3, 8, 8)
        assert ssim(x, x).shape == (1,)

    def test_where_ssim_applies(self) -> None:
        assert ssim_applies((1, 7, 7)) and ssim_applies((3, 28, 9))
        assert not ssim_applies((1, 1, 30)) and not ssim_applies((1, 6, 28))


class TestEvaluate:
    def test_is_the_mean_over_images(self) -> None:
        whole = model(
            image_shape=(1, 8, 8),
            penalties={"l1": L1Penalty()},
            weights={"l1": weight(0.3, "linear", 5)},
            noise=Dropout(p=0.5),
        ).eval()
        on = split(23, 1, 8, 8)
        found = measured(whole, on)
        x = on.pixels()
        x_hat = whole.reconstruct(x).detach()
        each = [((a - b) ** 2).mean() for a, b in zip(x_hat, x, strict=True)]
        l1 = float(whole.encode(x).mean.abs().sum().detach()) / 23
        mse = float(sum(each)) / 23
        expected = {
            "test/mse": mse,
            "test/mean_image_mse": float((x - x.mean(0)).square().mean()),
            "test/psnr": -10 * math.log10(mse),
            "test/ssim": sum(float(ssim(x_hat[i : i + 1], x[i : i + 1])) for i in range(23)) / 23,
            "test/reconstruction": 64 * mse,
            "test/l1": l1,
            "test/loss": 64 * mse + 0.3 * l1,
        }
        assert found == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize("batch_size", [1, 5, 22, 23, 100])
    def test_does_not_depend_on_the_batch_size(self, batch_size: int) -> None:
        whole = model(penalties={"l1": L1Penalty()})
        found = measured(whole, split(23), batch_size=batch_size)
        assert found == pytest.approx(measured(whole, split(23)), rel=1e-5)

    def test_two_calls_are_equal(self) -> None:
        whole = model(
            latent=gaussian(3),
            reconstruction=Bernoulli(targets="stochastic", threshold=0.5),
            penalties={"kl": KL()},
            network=mlp(6, dropout=0.5),
        )
        torch.manual_seed(1)
        first = measured(whole, split())
        torch.manual_seed(2)
        assert first == measured(whole, split())
        assert first["test/elbo"] != measured(whole, split(), seed=1)["test/elbo"]

    def test_asks_for_no_gradient(self) -> None:
        whole = model()
        measured(whole, split())
        assert all(p.grad is None for p in whole.parameters())

    def test_tables_have_neither_psnr_nor_ssim(self) -> None:
        whole = model(image_shape=(1, 1, 6))
        found = measured(whole, split(9, 1, 1, 6))
        assert set(found) == {
            f"test/{n}" for n in ("mse", "mean_image_mse", "reconstruction", "loss")
        }

    def test_perfect(self) -> None:
        found = measured(perfect(), split())
        assert found["test/mse"] == 0 and found["test/psnr"] == math.inf
        assert "test/ssim" not in found, "the images are smaller than its window"

    def test_pixels_of_a_standardised_model(self) -> None:
        shift, scale = torch.full((1, 1, 1), 0.4), torch.full((1, 1, 1), 0.2)
        found = measured(model(shift=shift, scale=scale), split())
        assert found["test/reconstruction"] == pytest.approx(
            found["test/mse"] * 16 / 0.04, rel=1e-5
        )


def perfect() -> Autoencoder:
    """A linear autoencoder of (1, 4, 4) that answers its input."""
    whole = model(network=linear(bias=False), latent=plain(16, bias=False))
    with torch.no_grad():
        whole.latent.project[1].weight.copy_(torch.eye(16))
        whole.decoder[1].weight.copy_(torch.eye(16))
    return whole


def noisy(whole: Autoencoder, on: Split, noise: Noise, **changes: Any) -> dict[str, float]:
    values: dict[str, Any] = {"batch_size": 7}
    with torch.no_grad():
        return NoisyMetrics(noise=noise)(Trial(whole.eval(), on, **(values | changes)))


class TestNoisy:
    @pytest.mark.parametrize("std", [0.0, 0.1, 0.5])
    def test_input_mse_of_gaussian_noise(self, std: float) -> None:
        on = split(300)
        found = noisy(perfect(), on, GaussianNoise(std=std), batch_size=128)
        assert found["input_mse"] == pytest.approx(std**2, rel=4.5 * (2 / 4800) ** 0.5)
        assert found["mse"] == pytest.approx(found["input_mse"], rel=1e-6)
        assert found["psnr"] == pytest.approx(psnr(found["mse"]))

    def test_input_mse_of_total_loss(self) -> None:
        on = split(50)
        found = noisy(perfect(), on, Dropout(p=1.0))
        assert found["input_mse"] == pytest.approx(float(on.pixels().square().mean()), rel=1e-5)

    def test_is_measured_against_the_clean_image(self) -> None:
        on = split(50)
        whole = model(network=conv(3)).eval()
        noise = SaltAndPepper(p=0.3, salt=0.5)
        found = noisy(whole, on, noise, batch_size=50)
        with torch.no_grad():
            spoilt = whole.corrupt(on.pixels(), gen(3), noise)
            x_hat = whole.reconstruct(spoilt)
        assert found["mse"] == pytest.approx(float(squared_error(x_hat, on.pixels()).mean()))
        assert found["input_mse"] == pytest.approx(float(squared_error(spoilt, on.pixels()).mean()))

    def test_two_calls_are_equal(self) -> None:
        whole, noise = model().eval(), GaussianNoise(std=0.2)
        first = noisy(whole, split(), noise)
        assert first == noisy(whole, split(), noise)
        assert first != noisy(whole, split(), noise, seed=1)

    def test_without_noise_it_is_the_clean_evaluation(self) -> None:
        whole = model().eval()
        found = noisy(whole, split(), NoNoise())
        assert found.pop("input_mse") == 0
        clean = measured(whole, split())
        assert {f"test/{key}": value for key, value in found.items()}.items() <= clean.items()
