"""How alike two sets of points are, as distributions."""

from __future__ import annotations

import torch
from torch import Tensor

_ROWS = 1000  # of a matrix of distances at once


def frechet(points: Tensor, others: Tensor) -> float:
    """The Frechet distance of the Gaussians of two sets of points, (N, D) and (M, D), float64.

    |m - m'|^2 + tr(S + S' - 2 (S S')^(1/2)), with S the unbiased covariances (Dowson & Landau
    1982): the squared 2-Wasserstein distance, 0 for equal sets. Each set has two points or more.
    """
    roots, traces = [], []
    for rows in (points, others):
        centred = rows - rows.mean(0)
        values, vectors = torch.linalg.eigh(centred.T @ centred / (len(rows) - 1))
        values = values.clamp_min(0)
        roots.append(vectors * values.sqrt() @ vectors.T)
        traces.append(values.sum())
    # the eigenvalues of S S' are the squared singular values of S^(1/2) S'^(1/2)
    common = torch.linalg.svdvals(roots[0] @ roots[1]).sum()
    offset = (points.mean(0) - others.mean(0)).square().sum()
    return max(float(offset + traces[0] + traces[1] - 2 * common), 0.0)


def precision_recall(made: Tensor, real: Tensor, neighbours: int) -> tuple[float, float]:
    """Improved precision and recall (Kynkaanniemi et al. 2019) of (N, D) and (M, D) points.

    Around every point of a set is a ball that reaches to its k-th neighbour in the set; together
    they are its manifold. Precision is the share of `made` in the manifold of `real`, recall the
    share of `real` in that of `made`. Each set has more than k points, on the CPU.
    """
    within, around = _reach(real, neighbours), _reach(made, neighbours)
    precise = 0
    recalled = torch.zeros(len(real), dtype=torch.bool)
    for part, reach in zip(torch.split(made, _ROWS), torch.split(around, _ROWS), strict=True):
        distances = torch.cdist(part, real)
        precise += int((distances <= within).any(1).sum())
        recalled |= (distances <= reach[:, None]).any(0)
    return precise / len(made), int(recalled.sum()) / len(real)


def _reach(points: Tensor, neighbours: int) -> Tensor:
    """The distance from each point to its k-th neighbour among the others, (N,)."""
    parts = [torch.cdist(part, points) for part in torch.split(points, _ROWS)]
    # the nearest is the point itself
    return torch.cat([part.kthvalue(neighbours + 1, 1).values for part in parts])
