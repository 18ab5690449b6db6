"""Means of the terms of a loss over the images seen so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass
class Mean:
    """Running means of named terms over images."""

    sums: dict[str, float] = field(default_factory=dict)
    images: int = 0

    def add(self, values: Mapping[str, float], images: int) -> None:
        """Add means over that many images."""
        self.images += images
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value * images

    def result(self, prefix: str) -> dict[str, float]:
        """The means so far, as `prefix/name`; empty before the first image."""
        return {f"{prefix}/{name}": total / self.images for name, total in self.sums.items()}


def mean_over_ranks(
    rows: Tensor, sizes: list[int], reduce: Callable[[Tensor], Tensor | Any]
) -> tuple[Tensor, list[int]]:
    """Rows (batches, terms) of this rank, means over so many images, as means over all ranks.

    reduce: sums a tensor over the ranks. Returns the images of all ranks in each batch, too.
    """
    weights = torch.tensor(sizes, dtype=torch.float64, device=rows.device)[:, None]
    total = reduce(torch.cat([rows * weights, weights], 1))
    whole = total[:, -1:]
    return (total[:, :-1] / whole).float(), [round(n) for n in whole[:, 0].tolist()]
