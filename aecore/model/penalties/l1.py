"""Sparse codes by an L1 penalty."""

from __future__ import annotations

from torch import Tensor
from typing_extensions import override

from aecore.model.passes import Pass
from aecore.model.penalties.base import Penalty


class L1Penalty(Penalty):
    """sum_j |z_j|, per image."""

    @override
    def forward(self, p: Pass) -> Tensor:
        return p.code.z.flatten(1).abs().sum(1)
