"""t-SNE keeps clusters of codes apart, and draws the same again."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aecore.data.split import Split
from aecore.errors import SkippedError
from aecore.evaluation.figures.tsne import TSNE
from helpers.models import images
from helpers.trials import perfect, trial


def points(figure: TSNE, split: Split) -> np.ndarray:
    (axes,) = figure(trial(perfect(), images=split)).axes
    (collection,) = axes.collections
    offsets: np.ndarray = np.asarray(collection.get_offsets())
    return offsets


def test_clusters_stay_apart() -> None:
    labels = torch.arange(60) % 2
    split = Split((0.1 * images(60, 1, 2, 2) + 0.8 * labels.view(-1, 1, 1, 1)), labels)
    figure = TSNE(points=60, perplexity=10.0)
    found = points(figure, split)
    assert found.shape == (60, 2)
    order = trial(perfect(), images=split).balanced(60).images.labels
    assert order is not None
    centres = [found[order.numpy() == k].mean(0) for k in (0, 1)]
    spread = max(found[order.numpy() == k].std() for k in (0, 1))
    assert np.linalg.norm(centres[0] - centres[1]) > 2 * spread
    assert np.array_equal(found, points(figure, split))


def test_too_few_images_are_skipped() -> None:
    with pytest.raises(SkippedError, match="a perplexity of 30 and 23 images"):
        TSNE(points=60, perplexity=30.0)(trial(perfect()))
