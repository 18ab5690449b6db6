"""The closed form and descent reach the optimum that theory gives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch import Tensor, nn

from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.model.latents.deterministic import Spatial
from aecore.model.noise.noises import GaussianNoise
from aecore.model.penalties.kl import KL
from aecore.model.penalties.l1 import L1Penalty
from aecore.model.reconstruction.bernoulli import Bernoulli
from aecore.model.reconstruction.gaussian import GaussianLikelihood
from aecore.training.optimizers.closed_form import ClosedForm
from aecore.training.optimizers.schedulers import Cosine
from helpers.models import (
    adam,
    contractive,
    conv,
    data,
    fit,
    gaussian,
    gen,
    images,
    linear,
    mlp,
    model,
    plain,
    weight,
)

DIGITS = torch.from_numpy(load_digits().images[:, None] / 16).float()


def pca_model(dim: int, shape: tuple[int, int, int] = (1, 8, 8), **words: Any) -> Autoencoder:
    values = {"image_shape": shape, "network": linear(), "latent": plain(dim)}
    return model(**(values | words))


def solved(dim: int, pixels: Tensor, **words: Any) -> Autoencoder:
    shape = (int(pixels.shape[1]), int(pixels.shape[2]), int(pixels.shape[3]))
    whole = pca_model(dim, shape, **words)
    ClosedForm().check(whole, len(pixels))
    ClosedForm().solve(whole, pixels, 0)
    return whole.requires_grad_(False)


def spectrum(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, falling, and eigenvectors (as columns) of the covariance, in float64."""
    rows = pixels.flatten(1).double()
    centred = rows - rows.mean(0)
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(rows))
    return values.flip(0), vectors.flip(1)


def squared_error(whole: Autoencoder, pixels: Tensor) -> float:
    """Mean over images of the squared error of an image, in float64."""
    return float(
        (whole.double().reconstruct(pixels.double()) - pixels).square().sum() / len(pixels)
    )


class TestClosedForm:
    @pytest.mark.parametrize("dim", [1, 8, 32, 60])
    def test_error_is_the_sum_of_the_other_eigenvalues(self, dim: int) -> None:
        values, vectors = spectrum(DIGITS)
        whole = solved(dim, DIGITS)
        assert squared_error(whole, DIGITS) == pytest.approx(float(values[dim:].sum()), rel=1e-6)
        rows = whole.latent.project[1].weight.double()
        torch.testing.assert_close(rows @ rows.T, torch.eye(dim).double(), rtol=0, atol=1e-5)
        cosines = torch.linalg.svdvals(rows @ vectors[:, :dim])
        assert float(cosines.min()) > 1 - 1e-5

    @pytest.mark.parametrize(("n", "side", "dim"), [(1000, 28, 64), (200, 30, 40)])
    def test_is_exact_on_large_images_too(self, n: int, side: int, dim: int) -> None:
        noise = torch.randn(n, 1, side, side, generator=gen())
        falling = torch.arange(1, side**2 + 1).view(1, 1, side, side) ** -0.5
        pixels = noise * falling
        values, _ = spectrum(pixels)
        error = squared_error(solved(dim, pixels), pixels)
        assert error == pytest.approx(float(values[dim:].sum()), rel=1e-6)

    def test_is_that_of_sklearn(self) -> None:
        pca = PCA(10, svd_solver="full").fit(DIGITS.flatten(1).double().numpy())
        whole = solved(10, DIGITS).double()
        codes = whole.encode(DIGITS.double()).mean.numpy()
        expected = pca.transform(DIGITS.flatten(1).double().numpy())
        signs = np.sign((codes * expected).sum(0))
        np.testing.assert_allclose(codes, expected * signs, atol=1e-4)

    def test_new_images(self) -> None:
        train, test = DIGITS[:1400], DIGITS[1400:]
        pca = PCA(10, svd_solver="full").fit(train.flatten(1).double().numpy())
        rows = test.flatten(1).double().numpy()
        expected = ((pca.inverse_transform(pca.transform(rows)) - rows) ** 2).sum(1).mean()
        assert squared_error(solved(10, train), test) == pytest.approx(expected, rel=1e-6)

    def test_standardised_images(self) -> None:
        pixels = images(300, 2, 3, 3) * torch.tensor([1.0, 0.2])[:, None, None]
        std, shift = torch.std_mean(pixels, (0, 2, 3), keepdim=True, correction=0)
        whole = solved(4, pixels, shift=shift[0], scale=std[0])
        values, _ = spectrum((pixels - shift) / std)
        error = (whole.reconstruct(pixels) - pixels) / std
        found = float(error.square().sum()) / 300
        assert found == pytest.approx(float(values[4:].sum()), rel=1e-5)

    def test_all_components_lose_nothing(self) -> None:
        pixels = images(30, 1, 2, 3)
        assert squared_error(solved(6, pixels), pixels) < 1e-10

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            ({"noise": GaussianNoise(std=0.1)}, "noise"),
            ({"penalties": {"l1": L1Penalty()}}, "penalty=none"),
            ({"penalties": {"a": L1Penalty(), "b": contractive()}}, "penalty=none"),
            ({"reconstruction": GaussianLikelihood(scale=1.0)}, "reconstruction=mse"),
            ({"reconstruction": Bernoulli(targets="soft", threshold=0.5)}, "reconstruction=mse"),
            ({"network": mlp(5)}, "network=linear"),
            ({"network": mlp(5, activation=None)}, "network=linear"),
            ({"network": conv(3)}, "network=linear"),
            ({"network": conv(3), "latent": Spatial(channels=None, activation=None)}, "network"),
            ({"network": linear(bias=False)}, "bias"),
            ({"network": linear(output_activation="sigmoid")}, "activation"),
            ({"latent": plain(3, activation="tanh")}, "activation"),
            ({"latent": plain(3, bias=False)}, "bias"),
            ({"latent": gaussian(3)}, "latent=deterministic"),
        ],
    )
    def test_refuses_what_is_not_pca(self, words: dict[str, Any], says: str) -> None:
        with pytest.raises(UserError, match="optimizer=closed_form") as raised:
            ClosedForm().check(pca_model(3, **words), 100)
        message = str(raised.value)
        assert says in message and message.count("\n") <= 2

    @pytest.mark.parametrize(("n", "dim", "largest"), [(100, 65, 64), (20, 21, 20)])
    def test_too_large_a_code(self, n: int, dim: int, largest: int) -> None:
        with pytest.raises(UserError, match=f"^latent.dim={dim}: .* at most {largest} ") as raised:
            ClosedForm().check(pca_model(dim), n)
        assert f"latent.dim={largest}" in str(raised.value)
        ClosedForm().check(pca_model(largest), n)


class TestDescentReachesTheOptimum:
    def test_a_linear_autoencoder_is_pca(self) -> None:
        """Baldi & Hornik 1989: no local minima; through the real training module."""
        train, dim = DIGITS[:1437], 10  # after the tenth eigenvalue there is a gap
        whole = pca_model(dim)
        module = data(train, batch_size=64)
        fit(whole, module, epochs=100, optimizer=adam(1e-2), schedule=Cosine(final=0.0))
        values, vectors = spectrum(train)
        best = float(values[dim:].sum())
        with torch.no_grad():
            error = squared_error(whole, train)
        assert best * (1 - 1e-9) < error < best * 1.01
        basis, _ = torch.linalg.qr(whole.decoder[1].weight.detach())
        assert float(torch.linalg.svdvals(basis.T @ vectors[:, :dim]).min()) > 0.95

    def test_a_linear_vae_is_probabilistic_pca(self) -> None:
        """Lucas et al. 2019: the best ELBO of a linear VAE is the best log-likelihood of pPCA."""
        n, d, k = 400, 8, 2
        mixing = torch.tensor([[2.0, 0.0], [0.0, 1.2]]) @ torch.randn(k, d, generator=gen(1))
        noise = 0.4 * torch.randn(n, d, generator=gen(3))
        pixels = (torch.randn(n, k, generator=gen(2)) @ mixing + noise).view(n, 1, 1, d)
        values, _ = spectrum(pixels)
        variance = float(values[k:].sum()) / (d - k)
        best = -0.5 * (
            d * math.log(2 * math.pi)
            + float(values[:k].log().sum())
            + (d - k) * math.log(variance)
            + d
        )
        whole = pca_model(
            k,
            (1, 1, d),
            latent=gaussian(k),
            reconstruction=GaussianLikelihood(scale="learned"),
            penalties={"kl": KL()},
            weights={"kl": weight()},
        )
        module = data(pixels, batch_size=100, range="standardised")
        fit(whole, module, epochs=250, optimizer=adam(2e-2), schedule=Cosine(final=0.0))
        with torch.no_grad():
            bound = exact_elbo(whole.double(), pixels.double())
        assert best - 0.3 < bound < best + 1e-9
        learned = float(whole.reconstruction.log_scale.detach().exp()) ** 2
        assert learned == pytest.approx(variance, rel=0.1)


def exact_elbo(whole: Autoencoder, x: Tensor) -> float:
    """The ELBO of a linear decoder with the expectation over z in closed form, mean over images."""
    p = whole.run(x, None, noisy=False, sample=False)
    layer = next(m for m in whole.decoder.modules() if isinstance(m, nn.Linear))
    posterior: Any = p.code.posterior
    spread = posterior.log_var.exp() @ layer.weight.square().sum(0)
    variance = (2 * whole.reconstruction.log_scale).exp()
    cost = whole.reconstruction(p.output, p.x) + 0.5 * spread / variance
    return float((-cost - posterior.kl_standard().sum(1)).mean())
