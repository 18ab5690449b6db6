"""Interpolations of nearest neighbours as sampler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.model.samplers.base import CodeSampler, Fitted, shaped

_DRAWS = 1000  # number of codes whose distances are computed at once


@dataclass(frozen=True)
class Between(Fitted):
    """A code interpolated with one of its k nearest neighbours. codes: (N, D)."""

    codes: Tensor
    k: int

    no_temperature = "this sampler draws evenly between the codes themselves"

    @override
    def draw(
        self, n: int, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor:
        codes = self.codes.to(like)
        drawn = [
            self._drawn(codes, min(n - start, _DRAWS), generator) for start in range(0, n, _DRAWS)
        ]
        return torch.cat(drawn)

    def _drawn(self, codes: Tensor, n: int, generator: Generator | None) -> Tensor:
        device = codes.device
        first = torch.randint(len(codes), (n,), generator=generator, device=device)
        distances = torch.cdist(codes[first], codes)
        distances.scatter_(1, first[:, None], torch.inf)  # itself
        near = distances.topk(self.k, largest=False).indices
        which = torch.randint(self.k, (n, 1), generator=generator, device=device)
        share = torch.rand((n, 1), generator=generator, device=device, dtype=codes.dtype)
        return torch.lerp(codes[first], codes[near.gather(1, which)[:, 0]], share)


class KNN(CodeSampler):
    """A uniform point on the line from a training code to one of its k nearest neighbours.

    images: maximum number of training images that are encoded.
    """

    name = "knn"

    k: PositiveInt

    @property
    @override
    def least(self) -> int:
        return self.k + 1

    @override
    def fit(self, codes: Tensor, seed: int) -> Between:
        return Between(codes, self.k)

    @override
    def restore(self, tensors: Mapping[str, Tensor], dim: int) -> Between:
        (codes,) = shaped(tensors, codes=(None, dim))
        if len(codes) <= self.k:
            raise ValueError(f"{len(codes)} codes")
        return Between(codes, self.k)
