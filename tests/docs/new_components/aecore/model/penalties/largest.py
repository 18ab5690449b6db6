"""The largest value of a code."""

from __future__ import annotations

from torch import Tensor
from typing_extensions import override

from aecore.model.passes import Pass
from aecore.model.penalties.base import Penalty


class Largest(Penalty):
    """max_j |z_j|, per image."""

    @override
    def forward(self, p: Pass) -> Tensor:
        return p.code.z.flatten(1).abs().amax(1)
