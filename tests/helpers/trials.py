"""Models and images to measure."""

from __future__ import annotations

from typing import Any

import torch

from aecore.data.split import Split
from aecore.evaluation.trial import Trial
from aecore.model.autoencoder import Autoencoder
from aecore.training.optimizers.closed_form import ClosedForm
from helpers.models import images, linear, model, plain


def trial(whole: Autoencoder | None = None, **changes: Any) -> Trial:
    """An untrained model with 23 random images, and other 40 as its training images."""
    whole = model() if whole is None else whole
    shape = whole.image_shape
    training = changes.pop("training", Split(images(40, *shape, seed=6)))
    values: dict[str, Any] = {"images": Split(images(23, *shape, seed=5)), "batch_size": 7}
    return Trial(whole.eval(), read_training=lambda: training, **(values | changes))


def solved(on: Trial) -> Trial:
    """The same with a model that PCA has solved."""
    ClosedForm().solve(on.model, on.training.pixels(), 0)
    return on


def perfect(side: int = 2) -> Autoencoder:
    """A linear model of (1, side, side) images; its codes and reconstructions are the pixels."""
    size = side * side
    words: dict[str, Any] = {"latent": plain(size, bias=False), "image_shape": (1, side, side)}
    whole = model(network=linear(bias=False), **words).eval()
    with torch.no_grad():
        whole.latent.project[1].weight.copy_(torch.eye(size))
        whole.decoder[1].weight.copy_(torch.eye(size))
    return whole
