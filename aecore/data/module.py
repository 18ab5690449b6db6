"""The data module: which images train, validate and test, and in what batches."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from pytorch_lightning import LightningDataModule
from torch import Tensor

from aecore.config.component import NonNegativeInt, PositiveInt, component
from aecore.config.folders import expanded
from aecore.data.batches import Batches, Chunk
from aecore.data.binarise import binarise_once, threshold
from aecore.data.checks import check_binarised, check_unit_range, warn_of_darkness
from aecore.data.classes import Classes, count_classes, of_classes
from aecore.data.split import VALIDATION_PART, Source, Split, Which, permutation
from aecore.data.statistics import Statistics, statistics_of
from aecore.errors import ConfigError, option
from aecore.types import ImageShape

_BATCH_SIZE = 128
ValSize = NonNegativeInt | Annotated[float, Field(ge=0, lt=1)]


class ImageData(LightningDataModule):
    """The three splits of a source, loaded when first asked for, each only if it is needed.

    The source's train images are permuted by the seed: the first `val_size` validate, the next
    `train_size` (all others, if None) train. So validation images do not depend on `train_size`,
    a smaller training set lies within a larger one, and test images are never used for either.
    Of each split only images of `classes` are used, where some are named; sizes count all classes.
    """

    @component
    def __init__(
        self,
        *,
        source: Source,
        data_dir: Path | str,
        batch_size: PositiveInt | Literal["auto"],
        eval_batch_size: PositiveInt,
        range: Literal["unit", "standardised"],
        val_size: ValSize,
        train_size: PositiveInt | None,
        test_size: PositiveInt | None,
        seed: NonNegativeInt,
        limit_batches: PositiveInt | None,
        chunk: PositiveInt | None = None,
        binarise: Literal["threshold", "sample"] | None = None,
        classes: Classes | None = None,
    ) -> None:
        """data_dir: folder of downloads. seed: of the validation split and the shuffling.

        range: "unit" for pixels in [0, 1]; "standardised" for data of any range, which the model
        sees shifted and scaled by `statistics`. val_size: images, or a fraction below 1 of the
        source's train images; 0 for no validation. test_size: number of first images, None for all.
        limit_batches: maximum number of batches in an epoch of any split.
        chunk: maximum number of batches in a chunk, see Batches.
        binarise: make every pixel 0 or 1; "threshold" at 0.5, "sample" with its value as the
        probability of 1 (Salakhutdinov and Murray 2008): in training drawn afresh each epoch, as
        the seed says (Burda et al. 2016), in every other use once, the same for all seeds.
        Raises ConfigError for pixels that have no 0 and 1.
        classes: names or labels of those to train and test on, None for all of them.
        """
        super().__init__()
        if binarise is not None and range != "unit":
            raise ConfigError(
                "dataset.range", range, f"dataset.binarise={binarise} needs pixels in [0, 1]",
                {"dataset.range": "unit", "dataset.binarise": None},
            )  # fmt: skip
        self.source = source
        self.data_dir = expanded(data_dir).absolute()
        self._batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.range = range
        self.val_size, self.train_size, self.test_size = val_size, train_size, test_size
        self.seed, self.limit_batches, self.chunk = seed, limit_batches, chunk
        self.binarise = binarise
        self.classes = classes
        self._shape: ImageShape | None = None

    @property
    def image_shape(self) -> ImageShape:
        """(C, H, W) of what has been loaded; loads the train split if nothing has."""
        return self._shape if self._shape is not None else self.train.image_shape

    @property
    def batch_size(self) -> int:
        """Images per training step; "auto" is 128, or all training images where they are fewer."""
        if self._batch_size != "auto":
            return self._batch_size
        return min(_BATCH_SIZE, len(self._train_and_val[0]))

    @cached_property
    def train(self) -> Split:
        """The training images; raises ConfigError where there are too few."""
        split = self._train_and_val[0]
        warn_of_darkness(split, self.source)
        return self._drawn(split, 0)

    @cached_property
    def val(self) -> Split | None:
        """The validation images, None if val_size is 0."""
        split = self._train_and_val[1]
        return None if split is None else self._drawn(split, 1)

    @cached_property
    def test(self) -> Split:
        """The test images; loads no training images."""
        return self._drawn(self._test_and_others[0], 2)

    @cached_property
    def others(self) -> Split | None:
        """The test images of other classes than those trained on, None where there are none."""
        split = None if self.classes is None else self._test_and_others[1]
        return None if split is None else self._drawn(split, 3)

    @cached_property
    def whole(self) -> Split:
        """Every image of the source, of `classes` where some are named."""
        split, _ = self._everything
        return self._drawn(_chosen(split, self._wanted(split, "test")), 4)

    @cached_property
    def origins(self) -> list[str]:
        """Which split each image of `whole` is of: train, val, test, or unused."""
        split, test = self._everything
        rest = torch.arange(len(split))[~torch.isin(torch.arange(len(split)), test)]
        held_out, kept = self._order(len(rest))
        origins = np.full(len(split), "unused")
        parts = {"train": rest[kept], "val": rest[held_out], "test": test[: self.test_size]}
        for name, places in parts.items():
            origins[places] = name
        names: list[str] = origins[self._wanted(split, "test")].tolist()
        return names

    @cached_property
    def _everything(self) -> tuple[Split, Tensor]:
        split, test = self.source.whole(self.data_dir)
        return self._checked(split, "all"), test

    @cached_property
    def _test_and_others(self) -> tuple[Split, Split | None]:
        split = self._checked(self.source.load("test", self.data_dir), "test")
        size = len(split) if self.test_size is None else self.test_size
        if size > len(split):
            problem = f"there are only {len(split)} test images"
            raise ConfigError("dataset.test_size", size, problem)
        wanted = self._wanted(split, "test")
        taken = torch.arange(len(split)) < size
        self._need_some(wanted & taken, "test_size", size)
        others = ~wanted & taken
        return _chosen(split, wanted & taken), _chosen(split, others) if others.any() else None

    @cached_property
    def _train_and_val(self) -> tuple[Split, Split | None]:
        whole = self._checked(self.source.load("train", self.data_dir), "train")
        wanted = self._wanted(whole, "train")
        held_out, kept = self._order(len(whole))
        self._need_some(wanted[kept], "train_size", len(kept))
        if len(held_out):
            self._need_some(wanted[held_out], "val_size", self.val_size)
        val, train = (part[wanted[part]].sort().values for part in (held_out, kept))
        if self._batch_size != "auto" and self._batch_size > len(train):
            raise ConfigError(
                "dataset.batch_size", self._batch_size,
                f"there are only {len(train)} training images",
                {"dataset.batch_size": f"{len(train)} or less"},
            )  # fmt: skip
        return whole.subset(train), whole.subset(val) if len(val) else None

    def _wanted(self, split: Split, which: Which) -> Tensor:
        """(N,) bool: which images of a split are of `classes`."""
        if self.classes is None:
            return torch.ones(len(split), dtype=torch.bool)
        return of_classes(split, self.classes, which)

    def _need_some(self, wanted: Tensor, key: str, size: float) -> None:
        """Raise ConfigError where of as many images, which is `dataset.key`, none is wanted."""
        if not wanted.any():
            raise ConfigError(
                f"dataset.{key}", size,
                f"none of these images is of {option('classes', self.classes)}",
                "give a larger one, it counts the images of all classes",
            )  # fmt: skip

    def _order(self, n: int) -> tuple[Tensor, Tensor]:
        """Which of the source's n train images validate and which train, as the seed says."""
        n_val = self.val_size if isinstance(self.val_size, int) else round(self.val_size * n)
        if n_val >= n:
            raise ConfigError(
                "dataset.val_size", self.val_size, f"nothing of {n} images is left to train on",
                {"dataset.val_size": "0.1 or another fraction"},
            )  # fmt: skip
        n_train = n - n_val if self.train_size is None else self.train_size
        if n_train > n - n_val:
            raise ConfigError(
                "dataset.train_size", n_train,
                f"only {n - n_val} of {n} images are left to train on, {n_val} are for validation",
            )  # fmt: skip
        order = permutation(n, VALIDATION_PART, self.seed)
        return order[:n_val], order[n_val : n_val + n_train]

    def _drawn(self, split: Split, which: int) -> Split:
        """The split, its pixels drawn once where they are to be drawn."""
        return binarise_once(split, which) if self.binarise == "sample" else split

    def _checked(self, split: Split, which: str) -> Split:
        """A split as the source gives it, checked, and black and white by the threshold."""
        if len(split) == 0:
            raise ConfigError("dataset", ..., f"the {which} split is empty")
        if self._shape is not None and self._shape != split.image_shape:
            raise ConfigError(
                "dataset", ...,
                f"the {which} images have the shape {split.image_shape}, those of the other split "
                f"{self._shape}",
            )  # fmt: skip
        if self.range == "unit":
            check_unit_range(split, which, self.binarise)
            check_unit_range(split.of_targets, which, self.binarise)
        if self.binarise is not None:
            check_binarised(split, which, self.binarise)
        self._shape = split.image_shape
        return threshold(split) if self.binarise == "threshold" else split

    def statistics(self) -> Statistics | None:
        """Those of the training images where they are standardised, else None."""
        return statistics_of(self.train) if self.range == "standardised" else None

    def count_classes(self) -> int:
        """How many classes there are, also where only images of some are used.

        Raises ConfigError for images without labels, and for labels that do not count classes.
        """
        train, val = self._train_and_val
        splits = {"train": train, "validation": val, "test": self.test}
        return count_classes({name: split for name, split in splits.items() if split is not None})

    def train_dataloader(self) -> Batches:
        """Shuffled chunks of batches."""
        grey, _ = self._train_and_val  # of which each epoch draws anew, where it draws at all
        return self._batches(grey, self.batch_size, train=True)

    def val_dataloader(self) -> Batches | list[Batches]:
        """Chunks in order; an empty list if there is no validation.

        Lightning warns of the empty list unless its limit_val_batches is 0.
        """
        return [] if self.val is None else self._batches(self.val, self.eval_batch_size)

    def test_dataloader(self) -> Batches:
        """Chunks in order."""
        return self._batches(self.test, self.eval_batch_size)

    def transfer_batch_to_device(
        self, batch: Chunk, device: torch.device, dataloader_idx: int
    ) -> Chunk:
        """A chunk on the device; untouched where it is made there, as is the rule."""
        return batch.to(device)

    def _batches(self, split: Split, batch_size: int, *, train: bool = False) -> Batches:
        """On the trainer's device and for its rank, where a trainer is attached."""
        trainer = self.trainer
        batches = Batches(
            split,
            batch_size,
            shuffle=train,
            seed=self.seed,
            chunk=self.chunk,
            rank=0 if trainer is None else trainer.global_rank,
            world_size=1 if trainer is None else trainer.world_size,
            limit=self.limit_batches,
            sample=train and self.binarise == "sample",
        )
        if trainer is not None and _fits(split, trainer.strategy.root_device):
            batches.to(trainer.strategy.root_device)
        return batches


def _chosen(split: Split, wanted: Tensor) -> Split:
    """Some images of a split, (N,) bool; itself where these are all, as a copy takes memory."""
    return split if wanted.all() else split.subset(wanted.nonzero()[:, 0])


def _fits(split: Split, device: torch.device) -> bool:
    """Whether the images are kept on the device: if they need at most a quarter of its memory."""
    if device.type != "cuda":
        return split.rows is None  # elsewhere the device shares the memory that was too small
    return 4 * split.nbytes <= torch.cuda.mem_get_info(device)[0]
