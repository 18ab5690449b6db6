"""All metrics of a trained model."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import torch

from aecore.errors import SkippedError
from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.metrics.common import VALIDATION_STREAM, CommonMetrics, NoisyMetrics
from aecore.evaluation.trial import Trial
from aecore.model.noise.base import Noise

log = logging.getLogger("aecore")

_RANKING = ("loss", "mse", "psnr", "ssim", "elbo")
_HARDLY_BETTER = 0.95  # times the error of the mean image


@torch.no_grad()
def evaluate(
    trial: Trial, *, metrics: Mapping[str, Metric] | None = None, noise: Noise | None = None
) -> dict[str, float]:
    """The metrics of every model, and those chosen, as `NAME/KEY` with the name of the images.

    metrics: by the name under which they were chosen. One that does not apply is left out with a
        warning, since it was asked for, and so is a value that a term of the loss is called like.
    noise: with an active one the images are reconstructed from noisy ones too, `NAME_noisy/KEY`.
    Two calls are equal bit for bit.
    """
    values = _named(trial.name, CommonMetrics()(trial))
    warn_if_constant(values, trial.name)
    if noise is not None and noise.active:
        values |= _named(f"{trial.name}_noisy", NoisyMetrics(noise=noise)(trial))
    for key, value in _named(trial.name, chosen_metrics(trial, metrics or {})).items():
        if key in values:
            log.warning("%s is a term of the loss, so another metric called so is left out", key)
        else:
            values[key] = value
    return values


@torch.no_grad()
def validate(trial: Trial) -> dict[str, float]:
    """The metrics by which models are compared with each other, as `NAME/KEY`.

    trial: with validation images, so that the test images choose nothing. The loss has the draws
        of the validation in training, so that of the last weights is that of the last epoch.
    """
    values = CommonMetrics(stream=VALIDATION_STREAM)(trial)
    return _named(trial.name, {key: values[key] for key in _RANKING if key in values})


def warn_if_constant(values: Mapping[str, float], name: str) -> None:
    """Warn of a model whose reconstructions are hardly better than one image for all inputs."""
    mse, constant = values[f"{name}/mse"], values[f"{name}/mean_image_mse"]
    if constant > 0 and mse > _HARDLY_BETTER * constant:
        log.warning(
            "%s/mse %.4g is %s better than the mean image, %.4g: the model has not learned to "
            "reconstruct; train longer (trainer.max_epochs, optimizer.lr) or lower penalty weights",
            name, mse, "hardly" if mse < constant else "no", constant,
        )  # fmt: skip


def chosen_metrics(trial: Trial, metrics: Mapping[str, Metric]) -> dict[str, float]:
    """The values of all metrics that apply, by their keys."""
    values: dict[str, float] = {}
    for name, metric in metrics.items():
        try:
            values |= metric(trial)
        except SkippedError as reason:
            log.warning("evaluate.metrics.%s left out: %s", name, reason)
    return values


def _named(prefix: str, values: Mapping[str, float]) -> dict[str, float]:
    return {f"{prefix}/{key}": value for key, value in values.items()}
