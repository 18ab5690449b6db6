"""Clusters of codes against labels: known tables, and brute force over assignments."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch

from aecore.data.split import Split
from aecore.errors import SkippedError
from aecore.evaluation.metrics.clustering import Clustering
from aecore.evaluation.trial import Trial
from helpers.models import images
from helpers.trials import perfect, trial


@torch.no_grad()
def clustered(on: Trial) -> dict[str, float]:
    return Clustering(images=None, starts=5)(on)


def grouped(spread: float, n: int = 60) -> Split:
    """Images (n, 1, 2, 2) of three classes around three corners, with that much noise."""
    labels = torch.arange(n) % 3
    corners = torch.tensor([[0.0, 0, 0, 1], [0, 1, 0, 0], [1, 0, 0, 0]])
    noise = spread * images(n, 1, 2, 2)
    return Split((0.5 * corners[labels].view(n, 1, 2, 2) + noise).clamp(0, 1), labels)


def test_classes_apart_are_found() -> None:
    assert all(reported.higher_is_better for reported in Clustering.reports.values())
    found = clustered(trial(perfect(), images=grouped(0.1)))
    assert found == pytest.approx({"cluster_nmi": 1, "cluster_ari": 1, "cluster_accuracy": 1})


def test_labels_of_chance_are_not() -> None:
    split = grouped(0.1, 600)
    shuffled = Split(split.images, split.labels[torch.randperm(600)])  # type: ignore[index]
    found = clustered(trial(perfect(), images=shuffled))
    assert abs(found["cluster_ari"]) < 0.02 and found["cluster_nmi"] < 0.02
    assert 1 / 3 <= found["cluster_accuracy"] < 0.42


def test_accuracy_is_that_of_the_best_assignment() -> None:
    from sklearn.cluster import KMeans

    split = grouped(0.9)
    found = clustered(trial(perfect(), images=split))
    clusters = KMeans(3, n_init=5, random_state=0).fit_predict(split.images.flatten(1).double())
    assert split.labels is not None
    shares = [
        sum(p[c] == k for c, k in zip(clusters, split.labels.tolist(), strict=True)) / 60
        for p in permutations(range(3))
    ]
    assert found["cluster_accuracy"] == pytest.approx(max(shares))
    assert max(shares) < 1


def test_what_has_no_clusters_is_skipped() -> None:
    with pytest.raises(SkippedError, match="no labels"):
        clustered(trial(perfect(), images=Split(images(9, 1, 2, 2))))
    with pytest.raises(SkippedError, match="3 images of 3 classes"):
        clustered(trial(perfect(), images=grouped(0.1, 3)))
