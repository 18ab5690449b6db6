"""Means of the terms of a loss over the images seen so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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
