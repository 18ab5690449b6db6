"""Images or tables from a NumPy file."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from aecore.config.component import PositiveFloat
from aecore.data.images.memory import InMemory
from aecore.data.mapped import float_of, mapped_split
from aecore.data.sources.layouts import Layout, as_nchw, layout_of
from aecore.data.sources.numpy_file import PATH, located, opened
from aecore.data.sources.unsplit import Unsplit
from aecore.data.split import Source, Split, Which, to_float
from aecore.errors import ConfigError, UserError
from aecore.types import is_table

log = logging.getLogger("aecore")

_ENDINGS = (".npz", ".npy")
_OTHERS = "dataset=csv reads a .csv, dataset=image_folder a folder of images"
_UNLABELLED = "numpy.unique(y, return_inverse=True)[1] numbers classes; training needs no labels"
_IMAGES, _LABELS = ("x", "images"), ("y", "labels")
_TARGETS = ("target", "targets")
_PARTED = (("x_{}", "y_{}"), ("{}_images", "{}_labels"))  # the second of MedMNIST


@final
class Arrays(Unsplit):
    """Images or a table from an .npz or .npy file; nothing in it is ever unpickled.

    Keys of an .npz: `x_train` and `x_test` (labels `y_train`, `y_test`) hold the splits, or
    `train_images` and `test_images` (labels `train_labels`, `test_labels`) as in MedMNIST; or else
    `x` or `images` (labels `y` or `labels`), as the one array of an .npy, is split by
    `test_fraction` and a fixed permutation. `target_train` and `target_test`, or `target`, are
    what the outputs for the images of the same rows are compared with, of the same shape (numbers
    with one axis are not). Validation images are drawn from the training images; `x_val` or
    `val_images` are not used.
    Numbers: uint8 stays 0..255 and is read as [0, 1]; all else stays as it is, as float32 or, where
    that is too coarse for it, as float64.

    path: the file; None is refused by `load`. layout: the order of axes, see `layout_of`.
    white: the number that is white, 4095 for 12 bits; None for 255 of uint8 and 1 of others.
    in_memory: whether an .npy is read as a whole; else it is mapped, converted as it is read, and
        shuffled by blocks of a megabyte. "auto": up to 256 MiB, whatever memory there is, so that
        an epoch has the same order everywhere. An .npz is always read as a whole.
    """

    path: str | None
    layout: Layout = "auto"
    white: PositiveFloat | None = None
    in_memory: InMemory = "auto"

    def __post_init__(self) -> None:
        self._mapped: Split | None = None

    def load(self, split: Which, data_dir: Path) -> Split:
        """Read one split; `data_dir` is not used."""
        with self._opened() as content:
            if split != "test":
                self._name_unused(content)
            if (keys := _parted(content)) is not None:
                self._check_targets(content)
                images, labels = (key.format(split) for key in keys)
                return self._split(content, images, labels, f"target_{split}")
            return self.part_of(self._one(content), split)

    @override
    def whole(self, data_dir: Path) -> tuple[Split, Tensor]:
        with self._opened() as content:
            parted = _parted(content) is not None
        return Source.whole(self, data_dir) if parted else super().whole(data_dir)

    @override
    def rows(self) -> Split:
        with self._opened() as content:
            self._name_unused(content)
            return self._one(content)

    def _opened(self) -> AbstractContextManager[Mapping[str, np.ndarray]]:
        return opened(self._file(), self.in_memory)

    def _file(self) -> Path:
        if self.path is None:
            raise ConfigError(PATH, None, "which file is to be read?", {PATH: "/a/file.npz"})
        return located(self.path, _ENDINGS, _OTHERS)

    def _check_targets(self, content: Mapping[str, np.ndarray]) -> None:
        """Raise ConfigError where one split has targets and the other none."""
        given = {key: _is_target(content, key) for key in ("target_train", "target_test")}
        if any(given.values()) and not all(given.values()):
            problem = f"it has {max(given, key=given.__getitem__)} alone"
            raise ConfigError(PATH, self._file(), problem, "give target_train and target_test")

    def _name_unused(self, content: Mapping[str, np.ndarray]) -> None:
        keys, used, held = _parted(content), {*_IMAGES, *_LABELS, *_TARGETS}, ""
        if keys is not None:
            every = (*keys, "target_{}")
            used = {key.format(which) for key in every for which in ("train", "test")}
            if keys[0].format("val") in content:
                held = f"; validation images are drawn from {keys[0].format('train')}"
        used = {key for key in used if not key.startswith("target") or _is_target(content, key)}
        if unused := ", ".join(sorted({*content} - used)):
            log.warning("dataset.path=%s: not used: %s%s", self.path, unused, held)

    def _one(self, content: Mapping[str, np.ndarray]) -> Split:
        """The one array of a file that has no splits."""
        given = [key for key in _TARGETS if _is_target(content, key)]
        labels, targets = (
            self._only(content, keys) if any(key in content for key in keys) else ""
            for keys in (_LABELS, given)
        )
        return self._split(content, self._only(content, _IMAGES), labels, targets)

    def _only(self, content: Mapping[str, np.ndarray], wanted: Sequence[str]) -> str:
        present = [key for key in wanted if key in content]
        if len(present) != 1:
            keys = ", ".join(sorted(content)) or "(none)"
            problem = f"has the keys {keys}; one of {' and '.join(wanted)} is needed"
            raise ConfigError(
                PATH, self._file(), problem,
                "keys: x (or images) and y (or labels); or x_train, x_test, y_train, y_test",
            )  # fmt: skip
        return present[0]

    def _split(
        self, content: Mapping[str, np.ndarray], key: str, labels: str, targets: str
    ) -> Split:
        """The images of a key, with labels and targets of others, which need not be there."""
        where = f"{self._file()} [{key}]"
        array = self._nchw(content[key], where)
        if isinstance(array, np.memmap):
            self.note += ", mapped"
            if self._mapped is None:  # it is checked once
                self._mapped = mapped_split(array, self.white, where)
            return self._mapped
        split = Split(self._images(array, where))
        if _is_target(content, targets):
            split = replace(split, targets=self._targets(content[targets], targets, split))
        if labels not in content:
            return split
        numbers, where = content[labels], f"{self._file()} [{labels}]"
        if labels.endswith("_labels") and numbers.ndim == 2 and numbers.shape[1] > 1:
            log.warning("%s: not used: %d labels an image", where, numbers.shape[1])
            return split
        return replace(split, labels=_labels(numbers, len(split), where))

    def _targets(self, array: np.ndarray, key: str, split: Split) -> Tensor:
        where = f"{self._file()} [{key}]"
        targets = self._images(self._nchw(array, where), where)
        if targets.shape != split.images.shape:
            given, wanted = (tuple(some.shape) for some in (targets, split.images))
            raise UserError(f"{where}: has the shape {given}; the images need targets {wanted}")
        return targets

    def _nchw(self, array: np.ndarray, where: str) -> np.ndarray:
        """A view (N, C, H, W) of an array; raises UserError with what is wrong, and where."""
        if array.dtype.kind not in "buif":
            raise UserError(f"{where}: holds {array.dtype}; images must be real numbers")
        self._white = self.white or (255 if array.dtype == np.uint8 else 1)
        self.note = f"layout {layout_of(array.shape) if self.layout == 'auto' else self.layout}"
        array = as_nchw(array, self.layout, where)
        if array.dtype == np.uint8 and self.white is None and is_table(array.shape[1:]):
            self.note += ", 8 bits, read as [0, 1]"
        if array.size == 0:
            raise UserError(f"{where}: is empty, its shape is {array.shape}")
        return array

    def _images(self, array: np.ndarray, where: str) -> Tensor:
        """(N, C, H, W) uint8 or floats; UserError where numbers are NaN or infinite."""
        if array.dtype == np.uint8 and self.white is None:
            return torch.from_numpy(np.ascontiguousarray(array))
        native = np.ascontiguousarray(array, dtype=float_of(array.dtype))
        images = to_float(torch.from_numpy(native))
        bad = ~torch.isfinite(images)
        if bad.any():
            row = int(bad.flatten(1).any(1).nonzero()[0])
            count = int(bad.sum())
            raise UserError(f"{where}: {count} values are NaN or infinite, first in row {row}")
        return images if self.white is None else images / self.white

    @override
    def white_hint(self, largest: float) -> str:
        return f"use dataset.white={largest * self._white:g} if that is white"


def _is_target(content: Mapping[str, np.ndarray], key: str) -> bool:
    """Whether images are compared with that array; one number an image is a label or the like."""
    return key in content and content[key].ndim > 1


def _parted(content: Mapping[str, np.ndarray]) -> tuple[str, str] | None:
    """The keys of images and labels of a split, with {} for its name; None where there is none."""
    for keys in _PARTED:
        if all(keys[0].format(which) in content for which in ("train", "test")):
            return keys
    return None


def _labels(array: np.ndarray, n: int, where: str) -> Tensor:
    """(N,) int64."""
    if array.dtype.kind not in "bui":
        raise UserError(f"{where}: holds {array.dtype}; labels must be integers", _UNLABELLED)
    if array.shape not in {(n,), (n, 1)}:
        raise UserError(
            f"{where}: has the shape {array.shape}; {n} images need ({n},) labels", _UNLABELLED
        )
    return torch.from_numpy(array.reshape(n).astype(np.int64))
