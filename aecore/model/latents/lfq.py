"""Lookup-free quantisation: the signs of values, without a learned codebook."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor
from torch.nn import functional as F
from typing_extensions import override

from aecore.config.component import NonNegativeFloat, PositiveFloat
from aecore.model.codes import Code, at_least_float32
from aecore.model.latents.fsq import Rounding
from aecore.model.latents.quantised import Quantised, straight_through

_GROUP = 8  # bits whose joint distribution is computed: 256 entries


class LFQ(Quantised):
    """Each value of an entry is the sign of the encoder's, -1 or 1 (Yu et al. 2024, MAGVIT-v2).

    The gradient is straight-through. Costs, per image and summed over its tokens: `commitment`
    times the squared distance to the entries; `entropy` times H(q) + diversity (log K - H(mean q)),
    where q(entry) of a token is the softmax of -|h - entry|^2 / temperature over all K = 2^bits
    entries and its mean is that of the batch. The first makes tokens decided, the second all
    entries used. Of more than 8 bits H(mean q) is the sum over groups of 8, an upper bound.

    bits: dimension of an entry.
    tokens: entries per image, from a vector; None for one per position of a feature map.
    """

    name = "lfq"

    bits: Annotated[int, Field(ge=1, le=30)]
    commitment: NonNegativeFloat
    entropy: NonNegativeFloat
    diversity: NonNegativeFloat
    temperature: PositiveFloat

    def __post_init__(self) -> None:
        self.codebook_size = 2**self.bits
        self.cost_names = ("commitment", "entropy") if self.entropy > 0 else ("commitment",)
        self.round = Rounding([2] * self.bits)

    @property
    @override
    def width(self) -> int:
        return self.bits

    @override
    def forward(self, h: Tensor, generator: Generator | None, sample: bool) -> Code:
        points = self.split_tokens(at_least_float32(self.project(h)))
        entries = straight_through(signs(points), points)
        distance = (points - entries.detach()).square().sum((1, 2))
        costs = {"commitment": self.commitment * distance}
        if self.entropy > 0:
            costs["entropy"] = self.entropy * self._entropy(4 * points / self.temperature)
        z = self.merge_tokens(entries)
        return Code(z, z, costs=costs, indices=self.place_tokens(self.round.indices(entries)))

    def _entropy(self, logits: Tensor) -> Tensor:
        """The entropy term of each image, (N,), from logits of the bits, (N, tokens, bits)."""
        undecided = (F.softplus(logits) - logits * logits.sigmoid()).sum((1, 2))
        groups = torch.split(logits.sigmoid().flatten(0, 1), _GROUP, 1)
        used = sum(_entropy_of_mean(joint_probabilities(group)) for group in groups)
        unused = self.width * math.log(2) - used
        return undecided + self.diversity * logits.shape[1] * unused

    @override
    def nearest(self, z: Tensor) -> Tensor:
        return signs(z)

    @override
    def decode_indices(self, indices: Tensor) -> Tensor:
        return self.merge_tokens(self.round.entries(indices.flatten(1)))


def signs(x: Tensor) -> Tensor:
    """1 for positive values, -1 for others."""
    return torch.where(x > 0, torch.ones_like(x), -torch.ones_like(x))


def joint_probabilities(p: Tensor) -> Tensor:
    """Of each number of B independent bits, (M, 2^B), that are 1 with probabilities p (M, B).

    The first bit varies fastest.
    """
    joint = p.new_ones(len(p), 1)
    for bit in torch.split(p, 1, 1):
        joint = torch.cat([joint * (1 - bit), joint * bit], 1)
    return joint


def _entropy_of_mean(p: Tensor) -> Tensor:
    mean = p.mean(0)
    entropy: Tensor = torch.special.entr(mean.clamp_min(torch.finfo(mean.dtype).tiny)).sum()
    return entropy
