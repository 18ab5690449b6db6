"""A Gaussian as sampler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from typing_extensions import override

from aecore.model.samplers.base import CodeSampler, Fitted, shaped


@dataclass(frozen=True)
class Normal(Fitted):
    """N(mean, factor^T factor). mean: (D,). factor: (R, D)."""

    mean: Tensor
    factor: Tensor

    no_temperature = None

    @override
    def draw(
        self, n: int, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor:
        mean, factor = self.mean.to(like), self.factor.to(like)
        normal = like.new_empty((n, len(factor))).normal_(generator=generator)
        return mean + (temperature * normal) @ factor


class GaussianSampler(CodeSampler):
    """A Gaussian with the mean and the unbiased full covariance of the codes (Ghosh et al. 2020).

    images: maximum number of training images that are encoded.
    """

    name = "gaussian"

    @override
    def fit(self, codes: Tensor, seed: int) -> Normal:
        rows = codes.double()
        mean = rows.mean(0)
        # by singular values: works for singular covariances, which are not stored for long codes
        _, scales, directions = torch.linalg.svd(rows - mean, full_matrices=False)
        factor = scales[:, None] * directions / (len(rows) - 1) ** 0.5
        return Normal(mean.float(), factor.float())

    @override
    def restore(self, tensors: Mapping[str, Tensor], dim: int) -> Normal:
        return Normal(*shaped(tensors, mean=(dim,), factor=(None, dim)))
