"""Matches the distribution of all codes to the prior, by the MMD."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor
from typing_extensions import override

from aecore.config.component import PositiveFloat
from aecore.model.codes import at_least_float32
from aecore.model.passes import Pass
from aecore.model.penalties.base import Penalty, per_image, without_autocast
from aecore.model.penalties.distances import Kernel, mmd


class MMD(Penalty):
    """The unbiased squared maximum mean discrepancy of the batch's codes and samples of the prior.

    Gretton et al. 2012, eq. 3. On deterministic codes a WAE-MMD (Tolstikhin et al. 2018, alg. 2);
    on sampled codes an InfoVAE (Zhao et al. 2019): alone with alpha = 1, lambda = weight,
    with `kl` of weight 1 alpha = 0, lambda = 1 + weight.
    Between 0 and 2, up to the noise of the estimate, which may be negative.

    kernel: 'rbf' or 'imq', the inverse multiquadric with its heavy tails.
    scales: widths of the kernels that are averaged; 1 is that of two standard normals.
    """

    matches_prior = True

    kernel: Kernel
    scales: Annotated[list[PositiveFloat], Field(min_length=1)]

    @override
    def forward(self, p: Pass) -> Tensor:
        z = at_least_float32(p.code.z)
        with without_autocast(z):
            drawn = p.model.prior_density.sample(z.shape, z, p.generator)
            return per_image(mmd(z.flatten(1), drawn.flatten(1), self.kernel, self.scales), p)
