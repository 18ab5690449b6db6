"""One evaluation for every variant."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from aecore.data.split import Split
from aecore.evaluation.metrics.base import labelled_batches
from aecore.evaluation.metrics.images import psnr, squared_error, ssim, ssim_applies
from aecore.model.autoencoder import Autoencoder
from aecore.model.noise.base import Noise
from aecore.types import is_table

ELBO_STREAM, _TERMS_STREAM, NOISE_STREAM = 1, 2, 3


class _Sums:
    """Sums over images in float64, on the CPU."""

    def __init__(self) -> None:
        self.totals: dict[str, float] = {}

    def add(self, name: str, values: Tensor) -> None:
        self.totals[name] = self.totals.get(name, 0.0) + float(values.double().sum())

    def means(self, prefix: str, images: int) -> dict[str, float]:
        return {f"{prefix}/{name}": total / images for name, total in self.totals.items()}


@torch.no_grad()
def evaluate(
    model: Autoencoder, split: Split, *, prefix: str, batch_size: int, seed: int
) -> dict[str, float]:
    """All yardsticks on the clean images of a split, and the terms of the objective.

    mse (mean squared error per pixel on [0, 1], of a table in its own units; from the mean code),
    of images psnr (dB, of that mse) and ssim; of variational models elbo and kl (nats per image: z
    drawn once from a generator of its own, the KL counted once whatever its weight; no elbo of a
    reconstruction that is no likelihood); loss and its terms with final weights. Of a conditional
    model all of it is given the class.
    Two calls are equal bit for bit.
    """
    device = model.shift.device
    elbo_draws = Generator(device=device).manual_seed(seed + ELBO_STREAM)
    term_draws = Generator(device=device).manual_seed(seed + _TERMS_STREAM)
    sums = _Sums()
    for x, y in labelled_batches(split, batch_size, device):
        _compare(sums, x, model.reconstruct(x, y))
        if model.latent.variational:
            log_likelihood, kl = elbo_parts(model, x, elbo_draws, y)
            if model.reconstruction.likelihood:
                sums.add("elbo", log_likelihood - kl)
            sums.add("kl", kl)
        terms = model.terms(x, term_draws, epoch=float("inf"), noisy=False, y=y)
        sums.add("loss", terms.loss * len(x))
        for name, value in terms.logged.items():
            if name not in ("kl", "elbo") or not model.latent.variational:
                sums.add(name, value * len(x))
    return _with_psnr(sums.means(prefix, len(split)), split, prefix)


def elbo_parts(
    model: Autoencoder, x: Tensor, generator: Generator, y: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """log p(x | z) for one drawn z, and KL(q(z | x) || p(z)), in nats, each (N,).

    y: labels (N,); of a conditional model all is given these.
    """
    p = model.run(x, generator, noisy=False, sample=True, y=y)
    constant = model.reconstruction.log_constant(p.x[0].numel())
    return constant - model.reconstruction(p.output, p.x), model.prior_density.kl(p.code).sum(1)


@torch.no_grad()
def evaluate_noisy(
    model: Autoencoder, split: Split, noise: Noise, *, prefix: str, batch_size: int, seed: int
) -> dict[str, float]:
    """The image yardsticks when the input is noisy, against the clean image.

    `input_mse` is what the noisy input itself would score: the floor a denoiser must beat.
    """
    device = model.shift.device
    draws = Generator(device=device).manual_seed(seed + NOISE_STREAM)
    sums = _Sums()
    for x, y in labelled_batches(split, batch_size, device):
        noisy = model.corrupt(x, draws, noise)
        _compare(sums, x, model.reconstruct(noisy, y))
        sums.add("input_mse", squared_error(noisy, x))
    return _with_psnr(sums.means(prefix, len(split)), split, prefix)


def _compare(sums: _Sums, x: Tensor, x_hat: Tensor) -> None:
    sums.add("mse", squared_error(x_hat, x))
    if ssim_applies((x.shape[1], x.shape[2], x.shape[3])):
        sums.add("ssim", ssim(x_hat, x))


def _with_psnr(metrics: dict[str, float], split: Split, prefix: str) -> dict[str, float]:
    """Of images: the numbers of a table have no peak."""
    if is_table(split.image_shape):
        return metrics
    return {**metrics, f"{prefix}/psnr": psnr(metrics[f"{prefix}/mse"])}
