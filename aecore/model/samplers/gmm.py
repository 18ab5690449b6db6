"""A Gaussian mixture as sampler."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Generator, Tensor
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.errors import UserError
from aecore.model.samplers.base import CodeSampler, Fitted, shaped

_FLOOR = 1e-6  # of variances, relative to that of all codes


@dataclass(frozen=True)
class Normals(Fitted):
    """sum_k weights_k N(means_k, factors_k factors_k^T).

    weights: (K,). means: (K, D). factors: (K, D, D), lower triangles; or (K, D), diagonals.
    """

    weights: Tensor
    means: Tensor
    factors: Tensor

    no_temperature = None

    @override
    def draw(
        self, n: int, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor:
        weights, means, factors = (t.to(like) for t in (self.weights, self.means, self.factors))
        chosen = torch.multinomial(weights, n, True, generator=generator)
        normal = temperature * torch.empty_like(means[chosen]).normal_(generator=generator)
        if factors.dim() == 2:
            return means[chosen] + factors[chosen] * normal
        drawn = means[chosen]
        for k, factor in enumerate(factors):  # one factor per component, not per sample
            members = chosen == k
            drawn[members] += normal[members] @ factor.T
        return drawn


class GMM(CodeSampler):
    """A mixture of Gaussians by expectation maximisation (Ghosh et al. 2020, with 10).

    components: their number. covariance: of each, 'full', or 'diag' for long codes.
    images: maximum number of training images that are encoded.
    """

    name = "gmm"

    components: PositiveInt
    covariance: Literal["full", "diag"]

    @property
    @override
    def least(self) -> int:
        return max(self.components, 2)

    def fit(self, codes: Tensor, seed: int) -> Normals:
        """Raises UserError if a component has too few codes for its covariance."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        rows = codes.double().numpy()
        mixture = GaussianMixture(
            self.components,
            covariance_type=self.covariance,
            reg_covar=_FLOOR * max(float(rows.var(0).mean()), 1e-30),
            random_state=seed % 2**32,
        )
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", ConvergenceWarning
            )  # the best of 100 steps is sufficient
            try:
                mixture.fit(rows)
            except ValueError as error:
                raise UserError(
                    f"sampler.components={self.components}: codes too similar or too few for "
                    "so many Gaussians",
                    "use fewer, or sampler.covariance=diag",
                ) from error
        full = self.covariance == "full"
        factors = np.linalg.cholesky(mixture.covariances_) if full else mixture.covariances_**0.5
        weights, means, roots = (
            torch.from_numpy(np.asarray(part)).float()
            for part in (mixture.weights_, mixture.means_, factors)
        )
        return Normals(weights, means, roots)

    @override
    def restore(self, tensors: Mapping[str, Tensor], dim: int) -> Normals:
        k = self.components
        factors = (k, dim, dim) if self.covariance == "full" else (k, dim)
        return Normals(*shaped(tensors, weights=(k,), means=(k, dim), factors=factors))
