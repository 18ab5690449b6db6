"""Vector quantisation: code words out of a learned book."""

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

_LEAST = 1e-30  # of a usage once there is one: 0 marks a book that has seen no image
Share = Annotated[float, Field(ge=0, lt=1)]


class VQ(Quantised):
    """Each word is the nearest of `codes` vectors of `dim` numbers (van den Oord et al. 2017).

    The gradient passes the choice as if it were not there. Costs, per image and summed over its
    words: `commitment` times the squared distance to the vectors, for the encoder; and where the
    book learns by `gradient`, that distance once for the book.

    update: 'ema' moves each vector to the running mean of what chose it (appendix A.1 there, its
        counts not smoothed), 'gradient' leaves it to the optimizer.
    decay: of the running means.
    revive: a vector chosen less often than this share of what all would be chosen if they were
        chosen alike becomes a random one of the batch; 0 for never. The first batch makes the book.
    """

    @component
    def __init__(
        self,
        *,
        codes: Annotated[int, Field(ge=2)],
        dim: PositiveInt,
        words: PositiveInt | None,
        commitment: NonNegativeFloat,
        update: Literal["ema", "gradient"],
        decay: Share,
        revive: Share,
    ) -> None:
        super().__init__("vq", words, dim)
        self.codes = codes
        self.commitment = commitment
        learned = update == "gradient"
        self.cost_names = ("commitment", "codebook") if learned else ("commitment",)
        self.book = Codebook(codes, dim, learned=learned, decay=decay, revive=revive)

    @override
    def forward(self, h: Tensor, generator: Generator | None, sample: bool) -> Code:
        points = self.apart(self.precise(self.project(h)))
        flat = points.detach().flatten(0, 1)
        learning = self.training and sample
        if learning:
            self.book.revive(flat, generator)
        indices = self.book(flat)
        words = F.embedding(indices, self.book.vectors).view(points.shape)
        if learning:
            self.book.learn(flat, indices)
        costs = {"commitment": self.commitment * _distance(points, words.detach())}
        if self.book.vectors.requires_grad:
            costs["codebook"] = _distance(points.detach(), words)
        z = self.together(straight_through(words, points))
        return Code(z, z, costs=costs, indices=self.placed(indices.view(points.shape[:2])))

    @override
    def nearest(self, z: Tensor) -> Tensor:
        words = self.apart(z)
        chosen = F.embedding(self.book(words.flatten(0, 1)), self.book.vectors)
        return self.together(chosen.view(words.shape))

    @override
    def decode_indices(self, indices: Tensor) -> Tensor:
        return self.together(F.embedding(indices.flatten(1), self.book.vectors))


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().sum((1, 2))


class Codebook(nn.Module):
    """The vectors (codes, width), and how often each is chosen.

    usage: (codes,) running mean, 1 where all are chosen alike; 0 before the first batch.
    """

    usage: Tensor

    def __init__(
        self, codes: int, width: int, *, learned: bool, decay: float, revive: float
    ) -> None:
        super().__init__()
        self.decay, self.least = decay, revive
        vectors = torch.randn(codes, width)
        if learned:
            self.vectors = nn.Parameter(vectors)
        else:
            self.register_buffer("vectors", vectors)
        self.register_buffer("usage", torch.zeros(codes))

    def forward(self, points: Tensor) -> Tensor:
        """Which vector is nearest to each point: (M, width) -> (M,) int64."""
        with torch.no_grad(), torch.autocast(points.device.type, enabled=False):
            # |p - v|^2 without |p|^2, which all have in common
            half = 0.5 * self.vectors.square().sum(1)
            return (half - points @ self.vectors.T).argmin(1)

    @torch.no_grad()
    def revive(self, points: Tensor, generator: Generator | None) -> None:
        """Put points (M, width) in the place of vectors that hardly any image chooses."""
        order = torch.randperm(len(points), generator=generator, device=points.device)
        turn = torch.arange(len(self.usage), device=points.device) % len(points)
        fresh = from_first(points[order[turn]])
        dead = self.usage < max(self.least, _LEAST)
        self.vectors.copy_(torch.where(dead[:, None], fresh, self.vectors))
        self.usage.masked_fill_(dead, 1.0)

    @torch.no_grad()
    def learn(self, points: Tensor, indices: Tensor) -> None:
        """Count who was chosen and, unless an optimizer does it, move the vectors."""
        counts = summed(self.usage.new_zeros(len(self.usage)).index_add_(
            0, indices, self.usage.new_ones(len(indices))
        ))  # fmt: skip
        alike = (1 - self.decay) * len(counts) / counts.sum()
        before = self.decay * self.usage
        usage = before + alike * counts
        if not self.vectors.requires_grad:
            sums = summed(torch.zeros_like(self.vectors).index_add_(0, indices, points))
            means = (before[:, None] * self.vectors + alike * sums) / usage[:, None]
            self.vectors.copy_(torch.where(counts[:, None] > 0, means, self.vectors))
        self.usage.copy_(usage.clamp_min(_LEAST))
