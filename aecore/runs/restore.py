"""From the weights of a checkpoint to the model that they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aecore.config.schema import Config
from aecore.data.statistics import Statistics
from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.model.components import build_components
from aecore.model.conditioning import PLANES
from aecore.model.limits import limited_to
from aecore.runs.checkpoint import check_weights, weights
from aecore.runs.validation import inside, printable
from aecore.types import ImageShape


def restore(
    config: Config, checkpoint: Mapping[str, Any], image_shape: ImageShape, path: Path
) -> Autoencoder:
    """The trained model of a checkpoint, on the CPU, in evaluation mode.

    Its sizes are compared with those of the weights before memory is taken for it.
    Raises UserError where they are another model's.
    """
    state = weights(checkpoint)
    statistics = None
    if config.dataset.get("range") == "standardised":  # among the weights: no images are read
        shift, scale = (_statistic(state, name, image_shape, path) for name in ("shift", "scale"))
        statistics = Statistics(shift, scale, state.get("limits"))
    classes = state.get(PLANES, torch.ones(1)).shape[:1].numel() if config.conditional else None
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they were
        return _built(config, state, image_shape, statistics, classes, path)


def _built(
    config: Config,
    state: Mapping[str, Tensor],
    image_shape: ImageShape,
    statistics: Statistics | None,
    classes: int | None,
    path: Path,
) -> Autoencoder:
    try:
        with torch.device("meta"), limited_to(state.values()):
            sizes = statistics and statistics.to("meta")
            blank = build_components(config).autoencoder(image_shape, sizes, classes)
    except UserError as error:
        raise inside(error, path) from error
    except Exception as error:  # of numbers that no memory holds, say
        raise UserError(
            f"{path}: its configuration makes no model ({type(error).__name__}); it was not used",
            f"{printable(error)}",
        ) from error
    check_weights(blank.state_dict(), state, path)
    model = build_components(config).autoencoder(image_shape, statistics, classes)
    model.load_state_dict(state)
    return model.eval()


def _statistic(
    state: Mapping[str, Tensor], name: str, image_shape: ImageShape, path: Path
) -> Tensor:
    """What standardised data were shifted or scaled by."""
    statistic = state.get(name, torch.ones(()))
    shape = tuple(statistic.shape)
    sides = zip(shape, image_shape, strict=False)
    if len(shape) != 3 or any(n not in (1, side) for n, side in sides):
        raise UserError(f"{path}: {name} of shape {shape} is of other images; it was not used")
    return statistic
