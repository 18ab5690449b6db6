"""Data sets without a split: a fixed part is for testing."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path

from torch import Tensor
from typing_extensions import override

from aecore.config.component import Probability
from aecore.data.split import Source, Split, Which, fixed_part
from aecore.errors import ConfigError


class Unsplit(Source):
    """A source whose rows are split by `test_fraction` and a permutation, the same in every run."""

    test_fraction: Probability

    @abstractmethod
    def rows(self) -> Split:
        """All rows; raises UserError where something is missing or damaged."""

    @override
    def load(self, split: Which, data_dir: Path) -> Split:
        """Read one split; `data_dir` is not used."""
        return self.part_of(self.rows(), split)

    @override
    def whole(self, data_dir: Path) -> tuple[Split, Tensor]:
        rows = self.rows()
        return rows, fixed_part(len(rows), self.test_fraction, "test")

    def part_of(self, rows: Split, split: Which) -> Split:
        """The rows of a split; ConfigError where none is left for it."""
        index = fixed_part(len(rows), self.test_fraction, split)
        if not len(index):
            problem = f"none of the {len(rows)} rows is left for the {split} split"
            raise ConfigError("dataset.test_fraction", self.test_fraction, problem)
        return rows.subset(index)
