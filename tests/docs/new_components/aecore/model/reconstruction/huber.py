"""A robust loss."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from aecore.config.component import PositiveFloat
from aecore.model.reconstruction.base import Reconstruction


class Huber(Reconstruction):
    """Half the squared error up to `delta`, linear beyond it (Huber 1964)."""

    name = "huber"

    delta: PositiveFloat

    @override
    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        return F.huber_loss(output, x, reduction="none", delta=self.delta).flatten(1).sum(1)

    @override
    def log_constant(self, pixels: int) -> float:
        centre = math.sqrt(2 * math.pi) * math.erf(self.delta / math.sqrt(2))
        return -pixels * math.log(centre + 2 / self.delta * math.exp(-(self.delta**2) / 2))
