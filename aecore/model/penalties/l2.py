"""L2 penalties of codes and of the decoder, for regularised autoencoders."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import override

from aecore.model.passes import Pass
from aecore.model.penalties.base import Penalty, per_image


class CodeL2(Penalty):
    """||z||^2 / 2, per image (Ghosh et al. 2020, the term L_Z of a RAE)."""

    @override
    def forward(self, p: Pass) -> Tensor:
        return 0.5 * p.code.z.flatten(1).square().sum(1)


class DecoderL2(Penalty):
    """||theta||^2 of all the decoder's parameters, including biases: a RAE-L2 with `code_l2`.

    Ghosh et al. 2020. Equal for all images.
    """

    @override
    def forward(self, p: Pass) -> Tensor:
        squares = [weight.square().sum() for weight in p.model.decoder.parameters()]
        return per_image(torch.stack(squares).sum(), p)
