"""A small classifier whose features make images comparable."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aecore.data.batches import Batches
from aecore.data.split import Split

FEATURES = 64
_SIDE = 32  # pixels: larger images are reduced to it
_BATCH, _RATE = 128, 2e-3


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
        found: Tensor = self.features(x - 0.5)
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes)."""
        logits: Tensor = self.head(self.extract(x))
        return logits


def classifier(split: Split) -> Classifier:
    """One of the labels of a split, not trained yet."""
    assert split.labels is not None, "a classifier learns labels"
    return Classifier(*split.image_shape, int(split.labels.max()) + 1)


def train_classifier(split: Split, epochs: int, seed: int, device: torch.device) -> Classifier:
    """A classifier of the labels of a split; a pure function of its arguments.

    By Adam, with a rate that falls to 0. The generators of PyTorch are left as they were.
    """
    devices = [device] if device.type == "cuda" else []
    exact = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
    with torch.random.fork_rng(devices), torch.enable_grad(), exact:
        torch.manual_seed(seed)
        model = classifier(split).to(device)
        optimizer = torch.optim.Adam(model.parameters(), lr=_RATE)
        batches = Batches(split, _BATCH, shuffle=True, seed=seed, chunk=None)
        steps = epochs * batches.steps
        falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
        for epoch in range(epochs):
            batches.set_epoch(epoch)
            for batch in (batch for chunk in batches for batch in chunk):
                assert batch.y is not None, "the split has labels"
                optimizer.zero_grad()
                loss = F.cross_entropy(model(batch.x.to(device)), batch.y.to(device))
                torch.autograd.backward(loss)
                optimizer.step()
                falling.step()
    return model.eval().requires_grad_(False)


def features(model: Classifier, batches: Iterable[Tensor]) -> Tensor:
    """Features of all pixels (n, C, H, W) of the batches, (N, FEATURES) float64, on the CPU."""
    return torch.cat([model.extract(x).cpu().double() for x in batches])
