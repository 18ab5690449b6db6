"""Vector quantisation: codes of entries of a learned codebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Generator, Tensor
from torch.nn import functional as F
from typing_extensions import override

from aecore.config.component import NonNegativeFloat, NonNegativeInt, PositiveInt
from aecore.model.codes import Code, at_least_float32
from aecore.model.latents.codebook import Codebook
from aecore.model.latents.quantised import Quantised, straight_through

Share = Annotated[float, Field(ge=0, lt=1)]
Size = Annotated[int, Field(ge=2)]


class Level(NamedTuple):
    """The points that a codebook quantises and its entries, (N, tokens, width); their indices."""

    points: Tensor
    entries: Tensor
    indices: Tensor


class VQ(Quantised):
    """Replaces each vector of the encoder by the nearest codebook entry (van den Oord et al. 2017).

    The gradient is straight-through. Costs, per image and summed over its tokens: `commitment`
    times the squared distance to the entries, for the encoder; with update='gradient' also that
    distance with weight 1, for the codebook.

    codebook_size: number of entries.
    dim: dimension of each entry.
    tokens: entries per image, from a vector; None for one per position of a feature map.
    commitment: weight of the encoder's distance to its entries.
    update: 'ema' moves each entry to the running mean of the vectors assigned to it (appendix A.1
        there, without smoothing of the counts), 'gradient' leaves it to the optimizer.
    decay: of the running means.
    restart_below: an entry whose usage is below this fraction of uniform usage is replaced by a
        random vector of the batch; 0 for never. The first batch initialises the codebook.
    kmeans: steps of k-means by which the first batch does so (Zeghidour et al. 2021); 0 for random
        vectors of it.
    distance: 'cosine' scales vectors and entries to unit length (Yu et al. 2022).
    """

    name = "vq"

    codebook_size: Size = field()  # no default, as the attribute of other latents would be
    dim: PositiveInt
    commitment: NonNegativeFloat
    update: Literal["ema", "gradient"]
    decay: Share
    restart_below: Share
    kmeans: NonNegativeInt = 0
    distance: Literal["euclidean", "cosine"] = "euclidean"

    def __post_init__(self) -> None:
        learned = self.update == "gradient"
        self.cost_names = ("commitment", "codebook") if learned else ("commitment",)
        self.codebook = self._codebook(cosine=self.distance == "cosine")

    def _codebook(self, *, cosine: bool = False) -> Codebook:
        return Codebook(
            self.codebook_size,
            self.dim,
            learned=self.update == "gradient",
            decay=self.decay,
            restart_below=self.restart_below,
            kmeans=self.kmeans,
            cosine=cosine,
        )

    @property
    @override
    def width(self) -> int:
        return self.dim

    @property
    def codebooks(self) -> Sequence[Codebook]:
        """One for each level, of which each but the first quantises what those before it leave."""
        return [self.codebook]

    @override
    def forward(self, h: Tensor, generator: Generator | None, sample: bool) -> Code:
        points = self.split_tokens(at_least_float32(self.project(h)))
        levels = self._quantised(points, generator, self.training and sample)
        distances = [_distance(level.points, level.entries.detach()) for level in levels]
        costs = {"commitment": self.commitment * _total(distances)}
        if self.codebook.vectors.requires_grad:
            costs["codebook"] = _total([_distance(x.points.detach(), x.entries) for x in levels])
        entries = _total([level.entries for level in levels])
        z = self.merge_tokens(straight_through(entries, levels[0].points))
        indices = torch.stack([level.indices for level in levels], 2).squeeze(2)
        return Code(z, z, costs=costs, indices=self.place_tokens(indices))

    def _quantised(
        self, points: Tensor, generator: Generator | None = None, learning: bool = False
    ) -> list[Level]:
        """The levels of points (N, tokens, width)."""
        rest = F.normalize(points, dim=-1) if self.codebook.cosine else points
        levels: list[Level] = []
        for codebook in self.codebooks:
            if levels:
                rest = rest - levels[-1].entries.detach()
            flat = rest.detach().flatten(0, 1)
            indices, entries = codebook.quantise(flat, generator, learning)
            levels.append(Level(rest, entries.view(rest.shape), indices.view(rest.shape[:2])))
        return levels

    @override
    def nearest(self, z: Tensor) -> Tensor:
        """Level by level: of several, their sum need not be the nearest of all sums."""
        levels = self._quantised(self.split_tokens(z))
        return self.merge_tokens(_total([level.entries for level in levels]))

    @override
    def decode_indices(self, indices: Tensor) -> Tensor:
        columns = indices.reshape(len(indices), -1, len(self.codebooks)).unbind(2)
        pairs = zip(columns, self.codebooks, strict=True)
        return self.merge_tokens(_total([F.embedding(k, book.entries) for k, book in pairs]))


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().sum((1, 2))


def _total(parts: Sequence[Tensor]) -> Tensor:
    return sum(parts[1:], parts[0])
