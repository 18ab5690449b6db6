"""Residual vector quantisation: codes of sums of entries of several codebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from torch import nn
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.model.latents.codebook import Codebook
from aecore.model.latents.vq import VQ


class ResidualVQ(VQ):
    """A codebook for each of several levels, which quantises what those before it leave.

    Zeghidour et al. 2021 (SoundStream); Lee et al. 2022 (RQ-VAE). Each vector is replaced by the
    sum of its entries, one of each level. Costs are those of `VQ`, summed over levels.

    levels: number of codebooks; one is `VQ`.
    distance: 'cosine' scales the vectors and the entries of the first level to unit length.
    Others: see `VQ`.
    """

    name = "residual_vq"

    levels: PositiveInt

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        self.shared_codebook = self.levels == 1
        self.further = nn.ModuleList(self._codebook() for _ in range(1, self.levels))

    @property
    @override
    def codebooks(self) -> Sequence[Codebook]:
        return [self.codebook, *cast("Iterable[Codebook]", self.further)]
