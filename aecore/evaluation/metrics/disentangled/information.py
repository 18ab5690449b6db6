"""What the numbers of a code tell of the factors that images are made of, in nats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import mutual_info_score

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]


def mutual_information(codes: Floats, factors: Integers, bins: int) -> NDArray[np.float64]:
    """(D, F): what each number of codes (N, D), in bins, tells of each of factors (N, F).

    bins: equally wide, from a number's least to its largest value.
    """
    binned = [_binned(code, bins) for code in codes.T]
    return np.array([[mutual_info_score(f, code) for f in factors.T] for code in binned])


def mig(information: Floats, factors: Integers) -> float:
    """Mutual information gap: how much more of a factor the best number tells than the second.

    information: (D, F), D of 2 or more, of factors (N, F). As a share of the factor's entropy,
    the mean over factors: 1 where one number tells all of a factor and no other anything.
    Source: R. Chen et al., Isolating Sources of Disentanglement in VAEs, NeurIPS 2018.
    """
    entropies = np.array([mutual_info_score(f, f) for f in factors.T])
    return float((top_gap(information) / entropies).mean())


def modularity(information: Floats) -> float:
    """How nearly each number tells of one factor only: 1 where that is so.

    information: (D, F), F of 2 or more. The mean over numbers, without those that tell nothing; 0
    if none tells anything. A number that tells of all factors alike has 0.
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
    """(N,) the number of each value's bin, from 0."""
    inner = np.linspace(code.min(), code.max(), bins + 1)[1:-1]
    return np.searchsorted(inner, code, side="right")
