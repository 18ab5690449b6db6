"""Rows that are sums of few known features, of which there are more than columns."""

from __future__ import annotations

from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Generator
from torch.nn.functional import normalize

from aecore.config.component import NonNegativeInt, PositiveFloat, PositiveInt
from aecore.data.images.memory import available_memory, check_memory
from aecore.data.split import Source, Split, Which
from aecore.errors import ConfigError

_STREAMS = {"atoms": 0, "train": 1, "test": 2}


@final
class Superposition(Source):
    """x = sum_j s_j c_j d_j, a table: features in superposition (Elhage et al. 2022).

    Each direction d_j is uniform on the unit sphere, s_j is 1 with probability active / features,
    else 0, c_j uniform in [0, 1]; all are independent, and equal in every run.

    width: columns. active: mean number of active features. draw: seed of features and rows.
    """

    features: PositiveInt
    width: PositiveInt
    active: PositiveFloat
    rows: PositiveInt
    test_rows: PositiveInt
    draw: NonNegativeInt

    def __post_init__(self) -> None:
        """Raise ConfigError if more than all features would be active."""
        if self.active > self.features:
            problem = f"there are {self.features} features"
            raise ConfigError("dataset.active", self.active, problem, "give fewer")

    def load(self, split: Which, data_dir: Path) -> Split:
        """Draw one split; `data_dir` is not used."""
        count = self.rows if split == "train" else self.test_rows
        key = "dataset.rows" if split == "train" else "dataset.test_rows"
        needed = 4 * count * (3 * self.features + self.width)
        check_memory(needed, available_memory(), (key, count), "rows", "draw fewer")
        generator = self._generator("atoms")
        atoms = normalize(torch.randn(self.features, self.width, generator=generator), dim=1)
        generator = self._generator(split)
        shape = count, self.features
        uniform = torch.rand(shape, generator=generator)
        values = torch.rand(shape, generator=generator) * (uniform * self.features < self.active)
        return Split((values @ atoms)[:, None, None, :], atoms=atoms)

    def _generator(self, stream: str) -> Generator:
        key = np.random.SeedSequence((self.draw, _STREAMS[stream]))
        return Generator().manual_seed(int(key.generate_state(1, np.uint64)[0]))
