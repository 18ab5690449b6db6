"""A Split of a data set, and the Source that loads it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from aecore.config.component import Component
from aecore.errors import UserError
from aecore.types import ImageShape, is_table

Which = Literal["train", "test"]

# First entries of the keys of `permutation`: each use draws from a separate stream.
FIXED_PART, VALIDATION_PART, EPOCH_ORDER = 1, 2, 3

_STORED = ("images", "targets")  # fields of a split that may lie in a mapped file
_OF_IMAGES = ("labels", "factors", "masks")  # and others that have a row for each image
COARSE = 1e-4  # of a standard deviation
PART = 1024  # images at once, of a split that may be larger than memory
_PART_VALUES = 2**24  # at once, where 1024 images have more


def to_pixels(images: Tensor) -> Tensor:
    """Stored images of the same shape, in at least float32: uint8 0..255 becomes [0, 1]."""
    single = images.to(torch.promote_types(images.dtype, torch.float32))
    return single.div_(255) if images.dtype == torch.uint8 else single


def to_float(x: Tensor) -> Tensor:
    """Numbers (N, C, H, W) as float32, or as float64 where that is too coarse for them.

    It is where rounding moves values of a channel, or of a column of a table, by more than 1e-4 of
    their standard deviation, as it does the milliseconds since 1970.
    """
    single = x.to(torch.float32)
    if not len(x) or x.dtype not in (torch.float64, torch.int64, torch.int32):
        return single
    double = x.to(torch.float64)
    dims = (0,) if is_table(x.shape[1:]) else (0, 2, 3)
    moved = (single.to(torch.float64) - double).abs().amax(dims)
    coarse = moved > COARSE * double.std(dims, correction=0)
    varies = double.amax(dims) > double.amin(dims)
    return double if bool((coarse & varies).any()) else single


def permutation(n: int, *key: int) -> Tensor:
    """(n,) int64 on the CPU: a permutation of 0..n-1, a pure function of n and the whole key."""
    seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))


def fixed_part(n: int, test_fraction: float, which: Which) -> Tensor:
    """(n_part,) int64, ascending: train or test of n items that come without a split.

    It depends on n and the fraction alone, never on a run's seed. A fraction strictly between
    0 and 1 leaves each side at least one item (n of 2 or more).
    """
    n_test = round(test_fraction * n)
    if 0 < test_fraction < 1 and n > 1:
        n_test = min(max(n_test, 1), n - 1)
    order = permutation(n, FIXED_PART)
    return (order[:n_test] if which == "test" else order[n_test:]).sort().values


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """One split of a data set, in memory or, where `rows` are given, in a file mapped into it.

    images: (N, C, H, W) uint8 0..255, or float32; tables of D columns are (N, 1, 1, D). With
    `rows`: (M, C, H, W) on the CPU, which other splits share; read-only.
    labels: (N,) int64, or None.
    names: the N file names, or None.
    class_names: what the labels 0, 1, ... mean, or None.
    rows: (N,) int64, which of `images` these are, in this order; None: all of them.
    factors: (N, F) int64, what each image was made from, every factor numbered 0, 1, ...; or None.
    atoms: (K, C * H * W) float32, the directions of which every row is a sparse sum; or None.
    targets: what the outputs for these images are compared with, stored as `images`; or None, for
        the images themselves.
    columns: the names of the D columns of a table, or None.
    masks: (N, 1, H, W) bool, the anomalous pixels of each image; or None, where none are known.
    """

    images: Tensor
    labels: Tensor | None = None
    names: tuple[str, ...] | None = None
    class_names: tuple[str, ...] | None = None
    rows: Tensor | None = None
    factors: Tensor | None = None
    atoms: Tensor | None = None
    targets: Tensor | None = None
    columns: tuple[str, ...] | None = None
    masks: Tensor | None = None

    def __len__(self) -> int:
        """N."""
        return len(self.images if self.rows is None else self.rows)

    @property
    def image_shape(self) -> ImageShape:
        """(C, H, W)."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    @property
    def part_size(self) -> int:
        """How many images to read at once of a split that may be larger than memory."""
        return min(PART, max(_PART_VALUES // math.prod(self.image_shape), 1))

    @property
    def nbytes(self) -> int:
        """The memory of the N images in bytes."""
        return len(self) * self.images.dtype.itemsize * math.prod(self.image_shape)

    def stored(self, index: Tensor) -> Tensor:
        """(M, C, H, W) a copy of the images at `index` (M,) int64, as they are stored.

        index: on the device of the images.
        """
        return self.images.index_select(0, index) if self.rows is None else self.take(index)

    def take(self, index: Tensor, out: Tensor | None = None) -> Tensor:
        """`stored` of a mapped split, into `out` (M, C, H, W) where there is one."""
        assert self.rows is not None
        return torch.index_select(self.images, 0, self.rows[index], out=out)

    def order(self, *key: int) -> Tensor:
        """(N,) int64: the images of an epoch in random order, a function of N and the key."""
        return permutation(len(self), EPOCH_ORDER, *key)

    def parts(self, size: int) -> Iterator[Tensor]:
        """All images as stored, in order, in chunks.

        Of a mapped file, each part is overwritten by the next: new memory for each would leave
        holes that grow with N.
        """
        if self.rows is None:
            yield from torch.split(self.images, size)
            return
        buffer = torch.empty(min(size, len(self)), *self.image_shape, dtype=self.images.dtype)
        for index in torch.split(torch.arange(len(self)), size):
            yield self.take(index, out=buffer[: len(index)])

    def pixels(self, index: Tensor | None = None) -> Tensor:
        """(N, C, H, W) float32, of all images or of those at `index` (N,) int64."""
        if index is None and self.rows is None:
            return to_pixels(self.images)
        return to_pixels(self.stored(torch.arange(len(self)) if index is None else index))

    @property
    def of_targets(self) -> Split:
        """The split with the targets as its images; itself where there are none."""
        return self if self.targets is None else replace(self, images=self.targets, targets=None)

    def subset(self, index: Tensor) -> Split:
        """The images at `index` (M,) int64, in that order, with all that is known of them.

        A copy of them where they are in memory, else none: then only `rows` are another's.
        """
        stored = () if self.rows is not None else _STORED
        chosen = self._changed(lambda values: values[index], "rows", *_OF_IMAGES, *stored)
        names = None if self.names is None else tuple(self.names[i] for i in index.tolist())
        return replace(chosen, names=names)

    def to(self, device: torch.device | str) -> Split:
        """The split with all its tensors on a device; a mapped file serves the CPU as it is."""
        moved = self._changed(lambda values: values.to(device), *_OF_IMAGES)
        if self.rows is None or torch.device(device).type == "cpu":
            return moved._changed(lambda values: values.to(device), *_STORED)
        targets = None if self.targets is None else self.of_targets._in_memory(device)
        return replace(moved, images=self._in_memory(device), targets=targets, rows=None)

    def _changed(self, change: Callable[[Tensor], Tensor], *names: str) -> Split:
        """The split with a change of those of these fields that are not None."""
        values = {name: getattr(self, name) for name in names}
        changed: dict[str, Any] = {n: change(v) for n, v in values.items() if v is not None}
        return replace(self, **changed)

    def _in_memory(self, device: torch.device | str) -> Tensor:
        """(N, C, H, W) the images as stored, on a device."""
        shape = (len(self), *self.image_shape)
        images = torch.empty(shape, dtype=self.images.dtype, device=device)
        size = self.part_size
        for to, part in zip(torch.split(images, size), self.parts(size), strict=True):
            to.copy_(part)
        return images

    @property
    def has_levels(self) -> bool:
        """Whether pixels are levels from black to white, not numbers with a unit."""
        return self.images.dtype == torch.uint8

    def rescaled(self, limits: Tensor) -> Split:
        """The split with its pixels scaled so that the two limits become 0 and 1; in memory.

        Itself where pixels have 8 bits: their black and white stand for the limits.
        """
        if self.has_levels:
            return self
        low, high = limits.to(self.images.device)
        images = (self.pixels() - low) / (high - low)
        targets = None if self.targets is None else (self.of_targets.pixels() - low) / (high - low)
        return replace(self, images=images, targets=targets, rows=None)


class SizeGroup(NamedTuple):
    """Images of one size among those of several.

    places: (n,) int64, where the images of the split stand among all.
    """

    places: Tensor
    split: Split


class Source(Component, ABC):
    """Where a data set comes from; its fields are its options. Building one reads nothing.

    note: what `load` assumed of the files, for the announcement of a run; "" for nothing.
    """

    note = ""

    @abstractmethod
    def load(self, split: Which, data_dir: Path) -> Split:
        """Read one split, and only its files where they are separate.

        data_dir: folder of downloaded data sets; may be read-only if they exist.
        Raises UserError where something is missing or damaged.
        """

    def whole(self, data_dir: Path) -> tuple[Split, Tensor]:
        """Every image, and which of them make the test split, (M,) int64.

        Raises what `load` does.
        """
        train, test = self.load("train", data_dir), self.load("test", data_dir)
        return joined(train, test), torch.arange(len(train), len(train) + len(test))

    def white_hint(self, largest: float) -> str:
        """What to do if no pixel is brighter than `largest`, a small share of white."""
        return f"divide by {largest:.4g} if that is white"

    def shape_mismatch(self, shape: ImageShape) -> str | None:
        """What its first image is that `load` would resize, or give other channels, for that shape.

        None where none is, or where images are never changed.
        """
        return None

    def each_size(self, data_dir: Path) -> list[SizeGroup]:
        """Every image in its own size. Raises what `load` does."""
        split, _ = self.whole(data_dir)
        return [SizeGroup(torch.arange(len(split)), split)]


def joined(first: Split, second: Split) -> Split:
    """Two splits of one source as one, in memory; UserError where they are kept in files."""
    if first.rows is not None or second.rows is not None:
        raise UserError(
            "split=all: the images are kept in two files",
            "take split=train, then split=test; or dataset.in_memory=true",
        )

    both: dict[str, Any] = {}
    for name in (*_STORED, "labels", "factors"):
        parts = [getattr(split, name) for split in (first, second)]
        both[name] = None if any(part is None for part in parts) else torch.cat(parts)
    names = None
    if first.names is not None and second.names is not None:
        names = first.names + second.names
    masks = None
    if first.masks is not None or second.masks is not None:
        masks = torch.cat([_masks_of(split) for split in (first, second)])
    return replace(first, names=names, masks=masks, **both)


def _masks_of(split: Split) -> Tensor:
    """(N, 1, H, W) bool; empty where none are known."""
    if split.masks is not None:
        return split.masks
    return torch.zeros(len(split), 1, *split.image_shape[1:], dtype=torch.bool)
