"""Splits to measure, and the measuring."""

from __future__ import annotations

from typing import Any

from making import images

from aecore.autoencoder import Autoencoder
from aecore.data import Split
from aecore.metrics import evaluate


def split(n: int = 23, *shape: int) -> Split:
    return Split(images(n, *(shape or (1, 4, 4)), seed=5))


def measured(whole: Autoencoder, on: Split, **changes: Any) -> dict[str, float]:
    values: dict[str, Any] = {"prefix": "test", "batch_size": 7, "seed": 0}
    return evaluate(whole.eval(), on, **(values | changes))
