"""How anomalous an image is to a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Generator, Tensor

from aecore.errors import ConfigError
from aecore.evaluation.metrics.elbo import elbo_terms, has_elbo
from aecore.evaluation.metrics.error_map import check_smooth, error_map
from aecore.evaluation.metrics.images import squared_error
from aecore.model.autoencoder import Autoencoder
from aecore.types import is_table

By = Literal["error", "peak", "elbo"]
Units = Literal["model", "data"]
Scorer = Callable[[Tensor, Tensor | None], Tensor]


def row_error(model: Autoencoder, output: Tensor, x: Tensor, units: Units = "model") -> Tensor:
    """Mean squared error of each image or row, (N,); both (N, C, H, W) in the units of the data.

    units: of tables. "model" compares standardised values, in which every column counts alike;
    with "data" a column of large numbers counts most. Pixels of images are compared as they are.
    """
    return squared_error(*_in_units(model, output, x, units)).to(x.device)


def feature_errors(model: Autoencoder, output: Tensor, x: Tensor, units: Units = "model") -> Tensor:
    """Squared error of each feature of the rows of a table, (N, D), whose mean is `row_error`."""
    compared, true = _in_units(model, output, x, units)
    return (compared - true).square().flatten(1).to(x.device)


def _in_units(model: Autoencoder, output: Tensor, x: Tensor, units: Units) -> tuple[Tensor, Tensor]:
    """The values that are compared."""
    if units == "data" or not is_table(model.image_shape):
        return output, x
    place = model.shift.device
    return model.normalise(output.to(place)), model.normalise(x.to(place))


def error_unit(model: Autoencoder, units: Units = "model") -> str:
    """`per pixel`, `per feature` or `per standardised feature`: the unit of `row_error`."""
    if not is_table(model.image_shape):
        return "per pixel"
    standardised = units == "model" and model.standardised
    return "per standardised feature" if standardised else "per feature"


def scorer(
    model: Autoencoder,
    by: By,
    generator: Generator,
    units: Units = "model",
    smooth: float = 0.0,
) -> Scorer:
    """The function of pixels (n, C, H, W) on the model's device and labels (n,) to scores (n,).

    Larger is more anomalous. "error": the mean squared error per pixel of the reconstruction.
    "peak": the largest one, for anomalies of few pixels. "elbo": minus the ELBO in nats, its code
    drawn once from the generator, batch after batch.
    smooth: of the errors of "peak", see `error_map`.
    Raises ConfigError where the model has no ELBO, and for a `smooth` that cannot be.
    """
    check_smooth(smooth, model.image_shape)

    def error(x: Tensor, y: Tensor | None) -> Tensor:
        return row_error(model, model.reconstruct(x, y), x, units)

    def peak(x: Tensor, y: Tensor | None) -> Tensor:
        output, true = _in_units(model, model.reconstruct(x, y), x, units)
        return error_map(output, true, smooth).flatten(1).amax(1).to(x.device)

    def minus_elbo(x: Tensor, y: Tensor | None) -> Tensor:
        log_likelihood, kl = elbo_terms(model, x, generator, y)
        return kl - log_likelihood

    if by != "elbo":
        return error if by == "error" else peak
    if not has_elbo(model):
        raise ConfigError("by", "elbo", "this model has no likelihood", {"by": "error"})
    return minus_elbo
