"""A codebook: entries, the usage of each, and how they learn."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from aecore.model.latents.quantised import from_first, summed

_LEAST = 1e-30  # smallest usage after the first batch; 0 marks an untrained codebook


class Codebook(nn.Module):
    """The entries (size, width) and the usage of each.

    learned: whether an optimizer moves the entries; else they are running means with `decay`.
    restart_below: see `VQ`. kmeans: steps of k-means on the first batch, from random vectors of it.
    cosine: whether entries are `vectors` scaled to unit length.

    usage: (size,) running mean relative to uniform usage, which is 1; 0 before the first batch.
    """

    usage: Tensor

    def __init__(
        self,
        size: int,
        width: int,
        *,
        learned: bool,
        decay: float,
        restart_below: float,
        kmeans: int = 0,
        cosine: bool = False,
    ) -> None:
        super().__init__()
        self.decay, self.restart_below = decay, restart_below
        self.kmeans, self.cosine = kmeans, cosine
        vectors = torch.randn(size, width)
        if learned:
            self.vectors = nn.Parameter(vectors)
        else:
            self.register_buffer("vectors", vectors)
        self.register_buffer("usage", torch.zeros(size))

    @property
    def entries(self) -> Tensor:
        """What points are replaced by, (size, width)."""
        return F.normalize(self.vectors, dim=1) if self.cosine else self.vectors

    def forward(self, points: Tensor) -> Tensor:
        """Index of the entry nearest to each point: (M, width) -> (M,) int64."""
        with torch.no_grad(), torch.autocast(points.device.type, enabled=False):
            entries = self.entries
            # half of |p - v|^2 - |p|^2
            half = 0.5 * entries.square().sum(1)
            return (half - points @ entries.T).argmin(1)

    def quantise(
        self, points: Tensor, generator: Generator | None, learning: bool
    ) -> tuple[Tensor, Tensor]:
        """Indices (M,) and entries (M, width) of points (M, width); learns from them if so."""
        if learning:
            self.restart_dead(points, generator)
        indices = self(points)
        entries = F.embedding(indices, self.entries)
        if learning:
            self.learn(points, indices)
        return indices, entries

    @torch.no_grad()
    def restart_dead(self, points: Tensor, generator: Generator | None) -> None:
        """Replace entries whose usage is below `restart_below` by random points of (M, width)."""
        first = self.kmeans > 0 and not bool(self.usage.any())
        order = torch.randperm(len(points), generator=generator, device=points.device)
        turn = torch.arange(len(self.usage), device=points.device) % len(points)
        fresh = from_first(points[order[turn]])
        dead = self.usage < max(self.restart_below, _LEAST)
        self.vectors.copy_(torch.where(dead[:, None], fresh, self.vectors))
        self.usage.masked_fill_(dead, 1.0)
        for _ in range(self.kmeans if first else 0):
            indices = self(points)
            counts, sums = self._counts(indices)[:, None], self._sums(points, indices)
            self.vectors.copy_(torch.where(counts > 0, sums / counts, self.vectors))

    @torch.no_grad()
    def learn(self, points: Tensor, indices: Tensor) -> None:
        """Update `usage` and, unless an optimizer does it, the entries from points (M, width)."""
        counts = self._counts(indices)
        share = (1 - self.decay) * len(counts) / counts.sum()
        before = self.decay * self.usage
        usage = before + share * counts
        if not self.vectors.requires_grad:
            sums = self._sums(points, indices)
            means = (before[:, None] * self.vectors + share * sums) / usage[:, None]
            self.vectors.copy_(torch.where(counts[:, None] > 0, means, self.vectors))
        self.usage.copy_(usage.clamp_min(_LEAST))

    def _counts(self, indices: Tensor) -> Tensor:
        ones = self.usage.new_ones(len(indices))
        return summed(torch.zeros_like(self.usage).index_add_(0, indices, ones))

    def _sums(self, points: Tensor, indices: Tensor) -> Tensor:
        return summed(torch.zeros_like(self.vectors).index_add_(0, indices, points))
