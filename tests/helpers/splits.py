"""Splits whose images are numbered, and data modules of them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import torch

from aecore.data.batches import Batches
from aecore.data.module import ImageData
from aecore.data.split import Source, Split, Which
from aecore.types import Batch
from helpers.models import data_of


def split_of(n: int, *, labels: bool = True, shape: tuple[int, ...] = (2, 3, 1)) -> Split:
    """n random uint8 images that all differ."""
    images = torch.randint(0, 256, (n, *shape), generator=torch.Generator().manual_seed(n))
    images.view(n, -1)[:, 0] = torch.arange(n)
    return Split(images.to(torch.uint8), torch.arange(n) % 3 if labels else None)


def flat(batches: Batches) -> list[Batch]:
    """An epoch's batches without the chunks."""
    return list(itertools.chain.from_iterable(batches))


class Memory(Source):
    """Splits from memory; one that is None must not be asked for."""

    def __init__(self, train: Split | None, test: Split | None = None) -> None:
        self.splits = {"train": train, "test": test}

    def load(self, split: Which, data_dir: Path) -> Split:
        found = self.splits[split]
        assert found is not None, f"the {split} split was loaded"
        return found


def data(source: Source, **changes: Any) -> ImageData:
    """A data module of that source, of which ten train images validate."""
    return data_of(source, **({"val_size": 10, "chunk": 2} | changes))
