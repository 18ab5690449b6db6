"""What a metric may look at, and what it answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Generator, Tensor

from aecore.data.split import Split, permutation
from aecore.model.autoencoder import Autoencoder
from aecore.types import is_table


def pixel_batches(split: Split, batch_size: int, device: torch.device) -> Iterator[Tensor]:
    """The images of a split in order, as pixels (n, C, H, W) on a device."""
    for x, _ in labelled_batches(split, batch_size, device):
        yield x


def labelled_batches(
    split: Split, batch_size: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """The same with their labels, (n,) int64, or None where the split has none."""
    for start in range(0, len(split), batch_size):
        yield images_at(split, torch.arange(start, min(start + batch_size, len(split))), device)


def images_at(split: Split, index: Tensor, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Pixels of the images at `index` (n,) on a device, and their labels where they have some."""
    y = None if split.labels is None else split.labels[index].to(device)
    return split.pixels(index).to(device), y


@dataclass(frozen=True)
class Subject:
    """A trained model and the images to measure it on.

    model: in evaluation mode, on its device.
    test, training: of the data set that it was trained on.
    ood: test images unlike those trained on, by the name of their data set or `other_classes`;
        they have the same shape.
    batch_size: images that the model sees at once.
    seed: decides which images are taken where not all are, and what is drawn.
    cache: a folder for what is slow to make of the data and the same in each run; None for none.
    """

    model: Autoencoder
    test: Split
    training: Split
    ood: Mapping[str, Split] = field(default_factory=dict)
    batch_size: int = 1000
    seed: int = 0
    cache: Path | None = None

    @property
    def is_table(self) -> bool:
        """Whether an "image" is one row of a table, (1, 1, D)."""
        return is_table(self.model.image_shape)

    def batches(self, split: Split) -> Iterator[Tensor]:
        """All images of a split in order, as pixels (n, C, H, W) on the model's device."""
        return pixel_batches(split, self.batch_size, self.model.shift.device)

    def labelled(self, split: Split) -> Iterator[tuple[Tensor, Tensor | None]]:
        """The same with their labels, for the model to see: one that is conditional needs them."""
        return labelled_batches(split, self.batch_size, self.model.shift.device)

    def some(self, split: Split, count: int) -> tuple[Tensor, Tensor | None]:
        """Up to `count` images of a split, drawn by the seed, with their labels as `labelled`."""
        chosen = permutation(len(split), self.seed)[:count]
        return images_at(split, chosen, self.model.shift.device)

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
