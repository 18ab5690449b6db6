"""What a metric may look at, and what it answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from aecore.autoencoder import Autoencoder
from aecore.data import Split
from aecore.data.split import permutation


def pixel_batches(split: Split, batch_size: int, device: torch.device) -> Iterator[Tensor]:
    """The images of a split in order, as pixels (n, C, H, W) on a device."""
    for start in range(0, len(split), batch_size):
        yield split.pixels(torch.arange(start, min(start + batch_size, len(split)))).to(device)


@dataclass(frozen=True)
class Subject:
    """A trained model and the images to measure it on.

    model: in evaluation mode, on its device.
    test, training: of the data set that it was trained on.
    ood: the test splits of other data sets, by name; their images have the same shape.
    batch_size: images that the model sees at once.
    seed: decides which images are taken where not all are, and what is drawn.
    """

    model: Autoencoder
    test: Split
    training: Split
    ood: Mapping[str, Split] = field(default_factory=dict)
    batch_size: int = 1000
    seed: int = 0

    @property
    def is_table(self) -> bool:
        """Whether an "image" is one row of a table, (1, 1, D)."""
        return self.model.image_shape[:2] == (1, 1)

    def batches(self, split: Split) -> Iterator[Tensor]:
        """All images of a split in order, as pixels (n, C, H, W) on the model's device."""
        return pixel_batches(split, self.batch_size, self.model.shift.device)

    def some(self, split: Split, count: int) -> Tensor:
        """Up to `count` images of a split, drawn by the seed, as pixels on the model's device."""
        chosen = permutation(len(split), self.seed)[:count]
        return split.pixels(chosen).to(self.model.shift.device)

    def generator(self) -> Generator:
        """A fresh generator on the model's device: every metric draws the same numbers."""
        return Generator(device=self.model.shift.device).manual_seed(self.seed)


class Metric(ABC):
    """Further yardsticks of a trained model; called under `torch.no_grad`.

    Two calls with the same subject are equal bit for bit.
    """

    @abstractmethod
    def __call__(self, subject: Subject) -> dict[str, float]:
        """The values by name; raises NotApplicable with a reason where there are none."""
