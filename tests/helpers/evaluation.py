"""Splits to measure, and the measuring."""

from __future__ import annotations

from typing import Any

import yaml

from aecore.config.folders import CONF
from aecore.data.split import Split
from aecore.evaluation.evaluate import evaluate
from aecore.evaluation.trial import Trial
from aecore.model.autoencoder import Autoencoder
from helpers.models import images


def split(n: int = 23, *shape: int) -> Split:
    return Split(images(n, *(shape or (1, 4, 4)), seed=5))


def measured(whole: Autoencoder, on: Split, **changes: Any) -> dict[str, float]:
    values: dict[str, Any] = {"batch_size": 7}
    return evaluate(Trial(whole.eval(), on, **(values | changes)))


def every_metric() -> dict[str, Any]:
    """The configuration of every metric, by name."""
    nodes: dict[str, Any] = {}
    for file in sorted((CONF / "evaluate" / "metrics").glob("*.yaml")):
        nodes |= yaml.safe_load(file.read_text()) or {}
    return nodes
