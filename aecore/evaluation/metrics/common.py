"""The metrics of every model: errors of reconstruction, the ELBO and the terms of the loss."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Generator, Tensor

from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.metrics.elbo import ELBO_STREAM, elbo_terms
from aecore.evaluation.metrics.images import psnr, squared_error, ssim, ssim_applies
from aecore.evaluation.reported import CLEAN, NOISY
from aecore.evaluation.trial import Trial
from aecore.model.comparable import FINAL_EPOCH, comparable_loss
from aecore.model.noise.base import Noise

NOISE_STREAM = 3  # added to a seed, so that noise is drawn from a separate stream
_TERMS_STREAM = 2
VALIDATION_STREAM = 1_000_003  # an odd offset: validation and training draw different numbers


class _Means:
    """Means over images, summed in float64 on the CPU."""

    def __init__(self) -> None:
        self._totals: dict[str, float] = {}

    def add(self, name: str, values: Tensor) -> None:
        self._totals[name] = self._totals.get(name, 0.0) + float(values.double().sum())

    def add_errors(self, x: Tensor, x_hat: Tensor) -> None:
        self.add("mse", squared_error(x_hat, x))
        if ssim_applies((x.shape[1], x.shape[2], x.shape[3])):
            self.add("ssim", ssim(x_hat, x))

    def of(self, trial: Trial) -> dict[str, float]:
        """With the PSNR of images: the values of a table have no peak."""
        means = {name: total / len(trial) for name, total in self._totals.items()}
        return means if trial.is_table else {**means, "psnr": psnr(means["mse"])}


class _MeanImage:
    """The mean squared error of the mean image per pixel, in one pass over the images."""

    def __init__(self) -> None:
        self._count, self._square = 0, 0.0

    def add(self, x: Tensor) -> None:
        pixels = x.cpu().double()
        if not self._count:  # numbers far from 0 would lose their differences in the squares
            self._origin = pixels.mean(0)
            self._total = torch.zeros_like(self._origin)
        from_origin = pixels - self._origin
        self._count += len(pixels)
        self._total += from_origin.sum(0)
        self._square += float(from_origin.square().sum())

    def mse(self) -> float:
        mean = self._total / self._count
        variance = self._square / self._count - float(mean.square().sum())
        return max(variance, 0.0) / mean.numel()


class CommonMetrics(Metric):
    """What is measured of every model, on clean images, and the terms of its objective.

    mse (mean squared error per pixel on [0, 1], of a table in its own units; from the mean code),
    of images psnr (dB, of that mse) and ssim; of variational models elbo and kl (nats per image: z
    drawn once from a generator of its own, the KL counted once whatever its weight; no elbo of a
    reconstruction that is no likelihood); mean_image_mse, the mse of the best constant image, the
    mean of these images; loss, see `comparable_loss`, and the terms with final
    weights. A class-conditional model is given the class of each image. Of images with targets all
    is measured against these, and input_mse is the error of the images themselves.

    stream: added to the seed of the trial, from which the terms of the loss are drawn.
    """

    reports: ClassVar = CLEAN
    stream: int = _TERMS_STREAM

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Applies to every model."""
        model, means = trial.model, _Means()
        elbo_draws = Generator(device=trial.device).manual_seed(trial.seed + ELBO_STREAM)
        term_draws = Generator(device=trial.device).manual_seed(trial.seed + self.stream)
        constant = _MeanImage()
        for x, y, target in trial.pairs():
            means.add_errors(target, model.reconstruct(x, y))
            constant.add(target)
            given = {"y": y, "target": None if target is x else target}
            if target is not x:
                means.add("input_mse", squared_error(x, target))
            if model.latent.variational:
                log_likelihood, kl = elbo_terms(model, x, elbo_draws, **given)
                if model.has_likelihood:
                    means.add("elbo", log_likelihood - kl)
                means.add("kl", kl)
            terms = model.terms(x, term_draws, epoch=FINAL_EPOCH, noisy=False, **given)
            means.add("loss", comparable_loss(model, x, terms, **given) * len(x))
            for name, value in terms.logged.items():
                if name not in ("kl", "elbo") or not model.latent.variational:
                    means.add(name, value * len(x))
        values = means.of(trial)
        return {"mse": values.pop("mse"), "mean_image_mse": constant.mse(), **values}


class NoisyMetrics(Metric):
    """The errors of reconstruction when the input is noisy, against the clean images.

    `input_mse` is the error of the noisy input itself: a denoiser must be below it.
    """

    reports: ClassVar = NOISY
    noise: Noise

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Applies to every model."""
        draws = Generator(device=trial.device).manual_seed(trial.seed + NOISE_STREAM)
        means = _Means()
        for x, y, target in trial.pairs():
            noisy = trial.model.corrupt(x, draws, self.noise)
            means.add_errors(target, trial.model.reconstruct(noisy, y))
            means.add("input_mse", squared_error(noisy, target))
        return means.of(trial)
