"""Residual vector quantisation: codes of sums of entries of several codebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, cast

from torch import nn
from typing_extensions import override

from aecore.config.component import NonNegativeFloat, NonNegativeInt, PositiveInt, component
from aecore.model.latents.codebook import Codebook
from aecore.model.latents.vq import VQ, Share, Size


class ResidualVQ(VQ):
    """A codebook for each of several levels, which quantises what those before it leave.

    Zeghidour et al. 2021 (SoundStream); Lee et al. 2022 (RQ-VAE). Each vector is replaced by the
    sum of its entries, one of each level. Costs are those of `VQ`, summed over levels.

    levels: number of codebooks; one is `VQ`.
    distance: 'cosine' scales the vectors and the entries of the first level to unit length.
    Others: see `VQ`.
    """

    @component
    def __init__(
        self,
        *,
        levels: PositiveInt,
        codebook_size: Size,
        dim: PositiveInt,
        tokens: PositiveInt | None,
        commitment: NonNegativeFloat,
        update: Literal["ema", "gradient"],
        decay: Share,
        restart_below: Share,
        kmeans: NonNegativeInt = 0,
        distance: Literal["euclidean", "cosine"] = "euclidean",
    ) -> None:
        super().__init__(
            codebook_size=codebook_size,
            dim=dim,
            tokens=tokens,
            commitment=commitment,
            update=update,
            decay=decay,
            restart_below=restart_below,
            kmeans=kmeans,
            distance=distance,
        )
        self.name = "residual_vq"
        self.shared_codebook = levels == 1
        self.further = nn.ModuleList(
            Codebook(
                codebook_size,
                dim,
                learned=update == "gradient",
                decay=decay,
                restart_below=restart_below,
                kmeans=kmeans,
            )
            for _ in range(1, levels)
        )

    @property
    @override
    def codebooks(self) -> Sequence[Codebook]:
        return [self.codebook, *cast("Iterable[Codebook]", self.further)]
