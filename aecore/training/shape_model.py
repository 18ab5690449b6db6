"""A model without numbers, to check its shapes and its memory before it is built."""

from __future__ import annotations

import logging

import torch

from aecore.data.images.memory import GIB, available_memory
from aecore.data.statistics import Statistics
from aecore.model.autoencoder import Autoencoder
from aecore.training.setup import Experiment
from aecore.types import ImageShape

log = logging.getLogger("aecore")
_TRAINED = 4  # numbers for each parameter: itself, its gradient and Adam's two moments


def shape_model(experiment: Experiment, shape: ImageShape, classes: int | None) -> Autoencoder:
    """The model with shapes and without numbers, which takes no memory."""
    standardised = experiment.data.range == "standardised"
    with torch.device("meta"):
        one = Statistics(torch.ones(1, 1, 1), torch.ones(1, 1, 1)) if standardised else None
        return experiment.components.autoencoder(shape, one, classes)


def warn_of_memory(model: Autoencoder) -> None:
    """Warn of a model whose weights, gradients and two moments of each exceed the free memory."""
    needed = _TRAINED * sum(p.numel() * p.element_size() for p in model.parameters())
    free = available_memory()
    if free is not None and needed > free:
        log.warning(
            "training this model takes %.3g GiB, and %.3g GiB of memory are free; make it smaller "
            "(latent.dim, network.hidden, network.channels)",
            needed / GIB, free / GIB,
        )  # fmt: skip
