"""Vector quantisation: codes of entries of a learned codebook."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from aecore.config.component import NonNegativeFloat, PositiveInt, component
from aecore.model.codes import Code
from aecore.model.latents.quantised import Quantised, from_first, straight_through, summed

_LEAST = 1e-30  # smallest usage after the first batch; 0 marks an untrained codebook
Share = Annotated[float, Field(ge=0, lt=1)]


class VQ(Quantised):
    """Replaces each vector of the encoder by the nearest codebook entry (van den Oord et al. 2017).

    The gradient is straight-through. Costs, per image and summed over its tokens: `commitment`
    times the squared distance to the entries, for the encoder; with update='gradient' also that
    distance with weight 1, for the codebook.

    codebook_size: number of entries.
    dim: dimension of each entry.
    tokens: entries per image, from a vector; None for one per position of a feature map.
    update: 'ema' moves each entry to the running mean of the vectors assigned to it (appendix A.1
        there, without smoothing of the counts), 'gradient' leaves it to the optimizer.
    decay: of the running means.
    restart_below: an entry whose usage is below this fraction of uniform usage is replaced by a
        random vector of the batch; 0 for never. The first batch initialises the codebook.
    """

    @component
    def __init__(
        self,
        *,
        codebook_size: Annotated[int, Field(ge=2)],
        dim: PositiveInt,
        tokens: PositiveInt | None,
        commitment: NonNegativeFloat,
        update: Literal["ema", "gradient"],
        decay: Share,
        restart_below: Share,
    ) -> None:
        super().__init__("vq", tokens, dim)
        self.codebook_size = codebook_size
        self.commitment = commitment
        learned = update == "gradient"
        self.cost_names = ("commitment", "codebook") if learned else ("commitment",)
        self.codebook = Codebook(
            codebook_size, dim, learned=learned, decay=decay, restart_below=restart_below
        )

    @override
    def forward(self, h: Tensor, generator: Generator | None, sample: bool) -> Code:
        points = self.split_tokens(self.precise(self.project(h)))
        flat = points.detach().flatten(0, 1)
        learning = self.training and sample
        if learning:
            self.codebook.restart_dead(flat, generator)
        indices = self.codebook(flat)
        entries = F.embedding(indices, self.codebook.vectors).view(points.shape)
        if learning:
            self.codebook.learn(flat, indices)
        costs = {"commitment": self.commitment * _distance(points, entries.detach())}
        if self.codebook.vectors.requires_grad:
            costs["codebook"] = _distance(points.detach(), entries)
        z = self.merge_tokens(straight_through(entries, points))
        return Code(z, z, costs=costs, indices=self.place_tokens(indices.view(points.shape[:2])))

    @override
    def nearest(self, z: Tensor) -> Tensor:
        points = self.split_tokens(z)
        entries = F.embedding(self.codebook(points.flatten(0, 1)), self.codebook.vectors)
        return self.merge_tokens(entries.view(points.shape))

    @override
    def decode_indices(self, indices: Tensor) -> Tensor:
        return self.merge_tokens(F.embedding(indices.flatten(1), self.codebook.vectors))


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().sum((1, 2))


class Codebook(nn.Module):
    """The entries `vectors` (size, width) and the usage of each.

    usage: (size,) running mean relative to uniform usage, which is 1; 0 before the first batch.
    """

    usage: Tensor

    def __init__(
        self, size: int, width: int, *, learned: bool, decay: float, restart_below: float
    ) -> None:
        super().__init__()
        self.decay, self.restart_below = decay, restart_below
        vectors = torch.randn(size, width)
        if learned:
            self.vectors = nn.Parameter(vectors)
        else:
            self.register_buffer("vectors", vectors)
        self.register_buffer("usage", torch.zeros(size))

    def forward(self, points: Tensor) -> Tensor:
        """Index of the entry nearest to each point: (M, width) -> (M,) int64."""
        with torch.no_grad(), torch.autocast(points.device.type, enabled=False):
            # half of |p - v|^2 - |p|^2
            half = 0.5 * self.vectors.square().sum(1)
            return (half - points @ self.vectors.T).argmin(1)

    @torch.no_grad()
    def restart_dead(self, points: Tensor, generator: Generator | None) -> None:
        """Replace entries whose usage is below `restart_below` by random points of (M, width)."""
        order = torch.randperm(len(points), generator=generator, device=points.device)
        turn = torch.arange(len(self.usage), device=points.device) % len(points)
        fresh = from_first(points[order[turn]])
        dead = self.usage < max(self.restart_below, _LEAST)
        self.vectors.copy_(torch.where(dead[:, None], fresh, self.vectors))
        self.usage.masked_fill_(dead, 1.0)

    @torch.no_grad()
    def learn(self, points: Tensor, indices: Tensor) -> None:
        """Update `usage` and, unless an optimizer does it, the entries from points (M, width)."""
        counts = summed(self.usage.new_zeros(len(self.usage)).index_add_(
            0, indices, self.usage.new_ones(len(indices))
        ))  # fmt: skip
        share = (1 - self.decay) * len(counts) / counts.sum()
        before = self.decay * self.usage
        usage = before + share * counts
        if not self.vectors.requires_grad:
            sums = summed(torch.zeros_like(self.vectors).index_add_(0, indices, points))
            means = (before[:, None] * self.vectors + share * sums) / usage[:, None]
            self.vectors.copy_(torch.where(counts[:, None] > 0, means, self.vectors))
        self.usage.copy_(usage.clamp_min(_LEAST))
