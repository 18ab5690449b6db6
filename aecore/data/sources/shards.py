"""Rows in a folder of .npy files, which may be larger than memory."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from aecore.config.folders import expanded
from aecore.data.mapped import Blocks, check_finite
from aecore.data.sources.numpy_file import PATH, opened
from aecore.data.sources.unsplit import Unsplit
from aecore.data.split import Split
from aecore.errors import ConfigError

log = logging.getLogger("aecore")

_LISTED = 5  # names of other files
_KINDS = (np.uint8, np.float16, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class ShardedSplit(Blocks):
    """A split whose `rows` count through several mapped files.

    images: the first of them. shards: all, each (M, 1, 1, D) on the CPU; read-only.
    """

    shards: tuple[Tensor, ...] = ()

    @override
    def take(self, index: Tensor, out: Tensor | None = None) -> Tensor:
        assert self.rows is not None
        rows = self.rows[index]
        ends = torch.tensor([len(shard) for shard in self.shards]).cumsum(0)
        which = torch.bucketize(rows, ends, right=True)
        by_shard = which.argsort()
        counts = torch.bincount(which, minlength=len(ends)).tolist()
        sorted_rows = torch.empty(len(rows), *self.image_shape, dtype=self.images.dtype)
        parts = torch.split(sorted_rows, counts)
        for n, shard_rows in enumerate(torch.split(rows[by_shard], counts)):
            if len(shard_rows):
                shard = self.shards[n]
                torch.index_select(shard, 0, shard_rows - (ends[n] - len(shard)), out=parts[n])
        return torch.index_select(sorted_rows, 0, by_shard.argsort(), out=out)


@final
class Shards(Unsplit):
    """A table (N, D), as the .npy files of a folder one after the other, by name; never unpickled.

    Each holds (M, D) uint8, read as [0, 1], float16 or float32, all of one width and type. They
    are mapped into memory and shuffled by blocks of a megabyte. A fixed part is for testing.

    Raises ConfigError where numbers are NaN or infinite; warns of what else lies in the folder.

    path: the folder; None is refused by `load`.
    """

    path: str | None

    @override
    def rows(self) -> Split:
        shards = self._shards
        count = sum(map(len, shards))
        return ShardedSplit(shards[0], rows=torch.arange(count), shards=tuple(shards))

    @cached_property
    def _shards(self) -> Sequence[Tensor]:
        """The rows of each file, mapped; checked once."""
        if self.path is None:
            raise ConfigError(PATH, None, "which folder is to be read?", {PATH: "/a/folder"})
        folder = expanded(self.path).absolute()
        listed = sorted(path for path in folder.glob("*") if not path.name.startswith("."))
        files = [path for path in listed if path.suffix == ".npy" and path.is_file()]
        if not files:
            problem = "no .npy files are there" if folder.is_dir() else "there is no such folder"
            raise ConfigError(PATH, folder, problem, "of one file: dataset=arrays")
        shards = [_map(file) for file in files]
        for file, shard in zip(files, shards, strict=True):
            if shard.shape[1:] != shards[0].shape[1:] or shard.dtype != shards[0].dtype:
                this, first = (f"{s.shape[-1]} columns of {s.dtype}" for s in (shard, shards[0]))
                problem = f"holds {this}, {files[0].name} {first}"
                raise ConfigError(PATH, file, problem, "all shards must have one width and type")
        if others := [path.name for path in listed if path not in files]:
            shown = ", ".join(others[:_LISTED]) + (", ..." if len(others) > _LISTED else "")
            log.warning("dataset.path=%s: not used: %s (%d)", self.path, shown, len(others))
        if shards[0].dtype == torch.uint8:
            self.note = "8 bits, read as [0, 1]"
        return shards

    @override
    def white_hint(self, largest: float) -> str:
        return "save them as float32 if 255 is not their largest possible value"


def _map(file: Path) -> Tensor:
    """The rows of a file, (M, 1, 1, D), mapped into memory; ConfigError where it holds no table."""
    with opened(file, in_memory=False) as content:
        array = content["x"]
    if array.ndim != 2 or 0 in array.shape or array.dtype not in _KINDS:
        problem = f"holds {array.dtype} of shape {array.shape}"
        raise ConfigError(PATH, file, problem, "save rows (M, D) of float32, float16 or uint8")
    check_finite(array, str(file))
    with warnings.catch_warnings(action="ignore"):  # it is not writable, and stays so
        return torch.from_numpy(array)[:, None, None, :]
