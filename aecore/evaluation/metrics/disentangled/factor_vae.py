"""The score of FactorVAE: which latent dimension is constant if one factor is."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from aecore.evaluation.metrics.disentangled.information import Floats, Integers


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
