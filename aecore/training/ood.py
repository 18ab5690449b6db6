"""The checks of other data sets, whose images are anomalous for a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aecore.errors import ConfigError, Hint, UserError
from aecore.training.setup import Experiment
from aecore.types import ImageShape


def check_ood(experiment: Experiment, shape: ImageShape) -> None:
    """Read the other data sets; UserError where one cannot be read or has images of other shapes.

    shape: of the images that the model is built for.
    """
    for name, data in experiment.ood.items():
        where, node = f"evaluate.ood.{name}", experiment.config.evaluate.ood[name]
        try:
            ood_shape = data.test.image_shape
        except UserError as error:
            raise _of_ood(error, where, node) from error
        if ood_shape != shape:
            hint: Hint = "choose data sets of that shape"
            if "shape" in node:
                hint = {f"{where}.shape": shape}
            elif "image_size" in node:
                hint = {f"{where}.image_size": shape[1:]}
            problem = f"its images are {ood_shape}, those of dataset {shape}"
            raise ConfigError(where, ..., problem, hint)
        known, columns = experiment.config.dataset.get("columns"), data.test.columns
        if known and columns and list(columns) != known:
            problem = "its columns are not those of dataset, or in another order"
            raise ConfigError(where, ..., problem, {f"{where}.columns": known})


def _of_ood(error: UserError, where: str, node: Mapping[str, Any]) -> UserError:
    """An error about `dataset`, where it is about another data set, of so many options of its own.

    All other options are those of the run's own data set.
    """
    if isinstance(error, ConfigError):
        names = {"dataset": where} if error.key == "dataset" else {}
        error = error.renamed(names | {f"dataset.{key}": f"{where}.{key}" for key in node})
        if error.key.startswith(where):
            return error
    return UserError(f"{where}: {error.summary}", error.hint)
