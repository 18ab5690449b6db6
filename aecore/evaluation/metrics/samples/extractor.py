"""A small classifier whose features make images comparable."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aecore.data.split import Split
from aecore.model.extractors import train_classifier

FEATURES = 64
_SIDE = 32  # pixels: larger images are reduced to it


class Classifier(nn.Module):
    """Two convolutions of stride 2 and a hidden layer, whose input is the features.

    Images are pixels (N, C, H, W) in [0, 1]. tanh answers to images unlike those trained on no
    more strongly than to those: with ReLU distances differ twofold from one training to the next.
    """

    def __init__(self, channels: int, height: int, width: int, classes: int) -> None:
        super().__init__()
        self.shape = min(height, _SIDE), min(width, _SIDE)
        rows, columns = (-(-side // 4) for side in self.shape)
        self.features = nn.Sequential(
            nn.Conv2d(channels, 16, 3, stride=2, padding=1),
            nn.Tanh(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.Tanh(),
            nn.Flatten(),
            nn.Linear(32 * rows * columns, FEATURES),
        )
        self.head = nn.Sequential(nn.Tanh(), nn.Linear(FEATURES, classes))

    def extract(self, x: Tensor) -> Tensor:
        """Features (N, FEATURES) of pixels, which are clamped to [0, 1]."""
        x = x.clamp(0, 1)
        if x.shape[2:] != self.shape:
            x = F.adaptive_avg_pool2d(x, self.shape)
        extracted: Tensor = self.features(x - 0.5)
        return extracted

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes)."""
        logits: Tensor = self.head(self.extract(x))
        return logits


def classifier(split: Split) -> Classifier:
    """One of the labels of a split, not trained yet."""
    assert split.labels is not None, "a classifier learns labels"
    return Classifier(*split.image_shape, int(split.labels.max()) + 1)


def trained_classifier(split: Split, epochs: int, seed: int, device: torch.device) -> Classifier:
    """A classifier of the labels of a split; see `train_classifier`."""
    make = partial(classifier, split)
    return train_classifier(make, split, epochs, seed, device)


def features(model: Classifier, batches: Iterable[Tensor]) -> Tensor:
    """Features of all pixels (n, C, H, W) of the batches, (N, FEATURES) float64, on the CPU."""
    return torch.cat([model.extract(x).cpu().double() for x in batches])
