"""Trials for the tests of figures."""

from __future__ import annotations

import torch

from aecore.data.split import Split
from aecore.evaluation.trial import Trial
from helpers import models as making

NAMES = ("cat", "dog", "owl")
HISTORY = [
    {"epoch": 1, "train/loss": 100.0, "val/loss": 50.0, "train/kl": 2.0, "train/kl_weighted": 2.0},
    {"epoch": 2, "train/loss": 10.0, "val/loss": 5.0, "train/kl": 3.0, "train/kl_weighted": 3.0},
]


def trial_of(n: int = 60, shape: tuple[int, int, int] = (1, 4, 4), **words: object) -> Trial:
    """A model of untrained words that has random images of three classes."""
    changes = {"latent": making.gaussian(3)} | words
    model = making.model(image_shape=shape, **changes).eval()
    noise = model.noise if model.noise.active else None
    images = Split(making.images(n, *shape), torch.arange(n) % 3, class_names=NAMES)
    return Trial(model, images, read_training=lambda: images, noise=noise, history=HISTORY)
