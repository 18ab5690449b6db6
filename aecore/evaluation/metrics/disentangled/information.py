"""The mutual information of latent dimensions and factors of variation, in nats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import mutual_info_score

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]


def mutual_information(codes: Floats, factors: Integers, bins: int) -> NDArray[np.float64]:
    """(D, F): the mutual information of codes (N, D), in bins, and factors (N, F).

    bins: of equal width, from the smallest to the largest value of a dimension.
    """
    binned = [_binned(code, bins) for code in codes.T]
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


def _binned(code: Floats, bins: int) -> Integers:
    """(N,) the index of each value's bin."""
    inner = np.linspace(code.min(), code.max(), bins + 1)[1:-1]
    return np.searchsorted(inner, code, side="right")
