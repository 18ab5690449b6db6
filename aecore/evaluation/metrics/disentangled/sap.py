"""Separated attribute predictability."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import recall_score
from sklearn.tree import DecisionTreeClassifier

from aecore.evaluation.metrics.disentangled.information import Floats, Integers, top_gap


def sap(scores: Floats) -> float:
    """Score of the best dimension for a factor minus the second best: the mean over factors.

    scores: (D, F), D of 2 or more, see `predictability`. Of a factor with K values at most
    1 - 1/K, as an uninformative dimension has a score of 1/K.
    Source: A. Kumar, P. Sattigeri, A. Balakrishnan, Variational Inference of Disentangled Latent
    Concepts from Unlabeled Observations, ICLR 2018.
    """
    return float(top_gap(scores).mean())


def predictability(
    fit: tuple[Floats, Integers], codes: Floats, factors: Integers
) -> NDArray[np.float64]:
    """(D, F): how well thresholds of one dimension of codes (N, D) predict factors (N, F).

    fit: codes and factors that the thresholds are found on, one fewer than the factor has values
    (a decision tree with a leaf for each). Balanced accuracies.
    """
    known, values = fit
    return np.array(
        [
            [
                _accuracy(known[:, [d]], values[:, f], codes[:, [d]], factors[:, f])
                for f in range(factors.shape[1])
            ]
            for d in range(codes.shape[1])
        ]
    )


def _accuracy(fit: Floats, factor: Integers, code: Floats, truth: Integers) -> float:
    """Mean recall over the values in `truth`, of a tree fitted to (M, 1) and used on (N, 1)."""
    leaves = max(len(np.unique(factor)), 2)
    tree = DecisionTreeClassifier(max_leaf_nodes=leaves, class_weight="balanced", random_state=0)
    predicted = tree.fit(fit, factor).predict(code)
    there = np.unique(truth)
    return float(recall_score(truth, predicted, labels=there, average="macro", zero_division=0))
