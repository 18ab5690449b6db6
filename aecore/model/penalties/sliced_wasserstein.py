"""Matches the distribution of all codes to the prior, by random one-dimensional projections."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.model.codes import at_least_float32
from aecore.model.passes import Pass
from aecore.model.penalties.base import Penalty, per_image, without_autocast
from aecore.model.penalties.distances import sliced_wasserstein


class SlicedWasserstein(Penalty):
    """The squared sliced 2-Wasserstein distance of the batch's codes and samples of the prior.

    Kolouri et al. 2019 (SWAE). It is positive even for two batches of one distribution.

    projections: number of random directions, new for each batch.
    """

    matches_prior = True

    projections: PositiveInt

    @override
    def forward(self, p: Pass) -> Tensor:
        z = at_least_float32(p.code.z)
        with without_autocast(z):
            drawn = p.model.prior_density.sample(z.shape, z, p.generator).flatten(1)
            lines = drawn.new_empty(drawn.shape[1], self.projections)
            directions = F.normalize(lines.normal_(generator=p.generator), dim=0)
            return per_image(sliced_wasserstein(z.flatten(1), drawn, directions), p)
