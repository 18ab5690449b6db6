"""Disentanglement, completeness and informativeness.

Source: C. Eastwood, C. Williams, A Framework for the Quantitative Evaluation of Disentangled
Representations, ICLR 2018.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from aecore.evaluation.metrics.disentangled.information import Floats, Integers


def disentanglement(importances: Floats) -> float:
    """How nearly each number of a code matters for one factor only.

    importances: (D, F) of D numbers for F factors, both 2 or more. 1 less a number's entropy over
    factors (to the base F), the mean over numbers by how much they matter; 0 if none does.
    """
    total = importances.sum()
    if total == 0:
        return 0.0
    weights = importances.sum(1)
    shares = importances[weights > 0] / weights[weights > 0, None]
    logs = np.log(shares, where=shares > 0, out=np.zeros_like(shares))
    entropies = -(shares * logs).sum(1) / math.log(importances.shape[1])
    return float(1 - (entropies * weights[weights > 0]).sum() / total)


def completeness(importances: Floats) -> float:
    """How nearly one number suffices for each factor: the same, of factors over numbers."""
    return disentanglement(importances.T)


def forests(
    fit: tuple[Floats, Integers],
    test: tuple[Floats, Integers],
    *,
    trees: int,
    leaf: int,
    seed: int,
) -> tuple[NDArray[np.float64], float]:
    """Importances (D, F) of the numbers of a code for each factor, and the informativeness.

    fit, test: codes (N, D) and factors (N, F). A random forest for each factor is fitted and
    tested; its importances sum to 1 (to 0 if there is nothing to fit), and the informativeness is
    its accuracy, the mean over factors. trees: of a forest; each split looks at all numbers, else
    those that tell nothing would seem to matter. leaf: images in a leaf, at least.
    """
    importances, accuracies = [], []
    for f, y in zip(fit[1].T, test[1].T, strict=True):
        forest = RandomForestClassifier(
            trees, min_samples_leaf=leaf, max_features=None, random_state=seed
        ).fit(fit[0], f)
        importances.append(forest.feature_importances_)
        accuracies.append(forest.score(test[0], y))
    return np.stack(importances, 1), float(np.mean(accuracies))
