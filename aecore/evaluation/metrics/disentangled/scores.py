"""Scores of codes (N, D) of images whose factors of variation (N, F) are known."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import mutual_info_score, recall_score
from sklearn.tree import DecisionTreeClassifier

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]


def mutual_information(codes: Floats, factors: Integers, bins: int) -> NDArray[np.float64]:
    """(D, F): the mutual information of codes (N, D), in bins, and factors (N, F).

    bins: of equal width, from the smallest to the largest value of a dimension.
    """
    inner = [np.linspace(code.min(), code.max(), bins + 1)[1:-1] for code in codes.T]
    binned = [np.digitize(code, edges) for code, edges in zip(codes.T, inner, strict=True)]
    return np.array([[mutual_info_score(f, code) for f in factors.T] for code in binned])


def mig(information: Floats, factors: Integers) -> float:
    """Mutual information gap: that of the best dimension for a factor minus the second best.

    information: (D, F), D of 2 or more, of factors (N, F). As a share of the factor's entropy,
    the mean over factors: 1 if one dimension determines a factor and no other depends on it.
    Source: R. Chen et al., Isolating Sources of Disentanglement in VAEs, NeurIPS 2018.
    """
    entropies = np.array([mutual_info_score(f, f) for f in factors.T])
    return float((top_gap(information) / entropies).mean())


def modularity(information: Floats) -> float:
    """Modularity: 1 if each dimension depends on a single factor.

    information: (D, F), F of 2 or more. The mean over informative dimensions; 0 if there are
    none. A dimension that is equally informative of all factors has 0.
    Source: K. Ridgeway, M. Mozer, Learning Deep Disentangled Embeddings with the F-Statistic
    Loss, NeurIPS 2018.
    """
    squares = information[information.max(1) > 0] ** 2
    if not len(squares):
        return 0.0
    best = squares.max(1)
    others = (squares.sum(1) - best) / (best * (squares.shape[1] - 1))
    return float(1 - others.mean())


def top_gap(scores: Floats) -> NDArray[np.float64]:
    """(F,): by how much the best of each column of scores (D, F) exceeds the second best."""
    second, best = np.sort(scores, axis=0)[-2:]
    gap: NDArray[np.float64] = best - second
    return gap


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
    columns = zip(known.T[..., None], codes.T[..., None], strict=True)
    return np.array(
        [
            [_accuracy(a, f, b, g) for f, g in zip(values.T, factors.T, strict=True)]
            for a, b in columns
        ]
    )


def _accuracy(fit: Floats, factor: Integers, code: Floats, truth: Integers) -> float:
    """Mean recall over the values in `truth`, of a tree fitted to (M, 1) and used on (N, 1)."""
    leaves = max(len(np.unique(factor)), 2)
    tree = DecisionTreeClassifier(max_leaf_nodes=leaves, class_weight="balanced", random_state=0)
    predicted = tree.fit(fit, factor).predict(code)
    there = np.unique(truth)
    return float(recall_score(truth, predicted, labels=there, average="macro", zero_division=0))


def disentanglement(importances: Floats) -> float:
    """How nearly each number of a code matters for one factor only.

    importances: (D, F) of D numbers for F factors, both 2 or more. 1 less a number's entropy over
    factors (to the base F), the mean over numbers by how much they matter; 0 if none does.
    Source: C. Eastwood, C. Williams, A Framework for the Quantitative Evaluation of Disentangled
    Representations, ICLR 2018.
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


def factor_vae_score(
    codes: Floats, factors: Integers, *, votes: int, group: int, draws: Generator
) -> float:
    """How often the latent dimension of least variance predicts which factor was fixed.

    codes: (N, D). factors: (N, F); of each, some value is that of two images or more. A vote is
    the dimension of least variance, relative to that over all images, in a group of images that
    share the value of one factor. A dimension predicts the factor of most of its votes; the score
    is the accuracy on other votes, 1/F by chance. Constant dimensions are excluded; without others
    the score is 0.
    votes: for each factor, to learn from and as many to score. group: images drawn for a vote.
    Source: H. Kim, A. Mnih, Disentangling by Factorising, ICML 2018.
    """
    spread = codes.std(0)
    moving = codes[:, spread > 0] / spread[spread > 0]
    if not moving.shape[1]:
        return 0.0
    learned, scored = (
        np.stack([_votes(moving, f, votes, group, draws) for f in factors.T]) for _ in range(2)
    )
    right = np.take_along_axis(scored, learned.argmax(0)[None], 0)
    return float(right.sum() / scored.sum())


def _votes(
    codes: Floats, factor: Integers, votes: int, group: int, draws: Generator
) -> NDArray[np.int64]:
    """(D,): how often each dimension has the least variance if a factor (N,) is fixed."""
    _, value, sizes = np.unique(factor, return_inverse=True, return_counts=True)
    by_value = np.argsort(value, kind="stable")
    starts = np.cumsum(sizes) - sizes
    shared = np.flatnonzero(sizes[value] > 1)  # one image alone does not vary
    fixed = value[draws.choice(shared, votes)]
    places = draws.random((votes, group)) * sizes[fixed, None]
    chosen = by_value[starts[fixed, None] + places.astype(np.int64)]
    return np.bincount(codes[chosen].var(1).argmin(1), minlength=codes.shape[1])
