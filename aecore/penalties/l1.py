"""Sparse codes by an L1 penalty."""

from __future__ import annotations

from torch import Tensor

from aecore.penalties.base import Penalty
from aecore.types import Pass
from aecore.words import word


class L1(Penalty):
    """sum_j |z_j|, per image."""

    @word
    def __init__(self) -> None:
        super().__init__()

    def forward(self, p: Pass) -> Tensor:
        return p.code.z.flatten(1).abs().sum(1)
