"""Bounded codes."""

from __future__ import annotations

from torch import Generator, Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.model.codes import Code
from aecore.model.latents.base import Latent
from aecore.model.networks.base import flat
from aecore.model.networks.dense import Dense
from aecore.types import Shape


class Softsign(Latent):
    """z = h / (1 + |h|), between -1 and 1 (Turian et al. 2009)."""

    dim: PositiveInt

    @override
    def attach(self, feature_shape: Shape) -> Shape:
        self.project = nn.Sequential(nn.Flatten(), Dense(flat(feature_shape), self.dim))
        return (self.dim,)

    @override
    def forward(self, h: Tensor, generator: Generator | None, sample: bool) -> Code:
        z = F.softsign(self.project(h))
        return Code(z, z)
