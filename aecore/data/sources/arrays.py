"""Images or tables from a NumPy file."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import final

import numpy as np
import torch
from numpy.lib.npyio import NpzFile
from torch import Tensor
from typing_extensions import override

from aecore.config.component import PositiveFloat, Probability, component
from aecore.config.folders import expanded
from aecore.data.images.memory import GIB, available_memory
from aecore.data.sources.layouts import Layout, as_nchw, layout_of
from aecore.data.split import Source, Split, Which, fixed_part, joined, to_float
from aecore.errors import ConfigError, UserError

log = logging.getLogger("aecore")

_PATH = "dataset.path"
_UNLABELLED = "numpy.unique(y, return_inverse=True)[1] numbers classes; training needs no labels"
_PARTED = {"x_train", "x_test", "y_train", "y_test"}


@final
class Arrays(Source):
    """Images or a table from an .npz or .npy file; nothing in it is ever unpickled.

    Keys of an .npz: `x_train` and `x_test` (labels `y_train`, `y_test`) hold the splits; or else
    `x` or `images` (labels `y` or `labels`), as the one array of an .npy, is split by
    `test_fraction` and a fixed permutation.
    Numbers: uint8 stays 0..255 and is read as [0, 1]; all else stays as it is, as float32 or, where
    that is too coarse for it, as float64.
    """

    @component
    def __init__(
        self,
        *,
        path: str | None,
        test_fraction: Probability,
        layout: Layout = "auto",
        white: PositiveFloat | None = None,
    ) -> None:
        """path: the file; None is refused by `load`. layout: the order of axes, see `layout_of`.

        white: the number that is white, 4095 for 12 bits; None for 255 of uint8 and 1 of others.
        """
        self.path = path
        self.test_fraction = test_fraction
        self.layout = layout
        self.white = white

    def load(self, split: Which, data_dir: Path) -> Split:
        """Read one split; `data_dir` is not used."""
        return self._read(split)

    def whole(self, data_dir: Path) -> Split:
        """Every row, in its order in the file, train before test."""
        return self._read(None)

    @override
    def test_places(self, whole: Split, data_dir: Path) -> Tensor:
        with _opened(self._file()) as content:
            parted = _is_parted(content)
        if parted:
            return super().test_places(whole, data_dir)
        return fixed_part(len(whole), self.test_fraction, "test")

    def _read(self, split: Which | None) -> Split:
        path = self._file()
        with _opened(path) as content:
            if split is None and _is_parted(content):
                train, test = (self._from(content, w, path) for w in ("train", "test"))
                return joined(train, test)
            return self._from(content, split, path)

    def _file(self) -> Path:
        if self.path is None:
            raise ConfigError(_PATH, None, "which file is to be read?", {_PATH: "/a/file.npz"})
        path = expanded(self.path).absolute()
        if path.is_dir():
            hint = "give a file in it, or dataset=image_folder dataset.root=FOLDER"
            raise ConfigError(_PATH, path, "is a folder", hint)
        if not path.is_file():
            raise ConfigError(_PATH, path, "there is no such file")
        if path.suffix.lower() not in {".npz", ".npy"}:
            hint = 'of a CSV: numpy.save("x.npy", numpy.loadtxt(path, delimiter=",", skiprows=1))'
            raise ConfigError(_PATH, path, "must be a .npz or .npy file", hint)
        return path

    def _from(self, content: np.ndarray | NpzFile, split: Which | None, path: Path) -> Split:
        if isinstance(content, np.ndarray):
            return self._part(self._images(content, str(path)), None, split, path)
        keys = set(content.files)
        if _is_parted(content):
            self._name_unused(keys - _PARTED, split)
            key, labels_key = f"x_{split}", f"y_{split}"
            images = self._images(content[key], f"{path} [{key}]")
            labels = content[labels_key] if labels_key in keys else None
            return Split(images, _labels(labels, len(images), f"{path} [{labels_key}]"))
        key = _only(keys, ("x", "images"), path)
        labels_key = _only(keys, ("y", "labels"), path) if keys & {"y", "labels"} else ""
        self._name_unused(keys - {key, labels_key}, split)
        images = self._images(content[key], f"{path} [{key}]")
        labels = content[labels_key] if labels_key else None
        checked = _labels(labels, len(images), f"{path} [{labels_key}]")
        return self._part(images, checked, split, path)

    def _name_unused(self, keys: set[str], split: Which | None) -> None:
        if keys and split != "test":
            held = "; validation images are drawn from x_train" if "x_val" in keys else ""
            unused = ", ".join(sorted(keys))
            log.warning("dataset.path=%s: not used: %s%s", self.path, unused, held)

    def _part(
        self, images: Tensor, labels: Tensor | None, split: Which | None, path: Path
    ) -> Split:
        if split is None:
            return Split(images, labels)
        index = fixed_part(len(images), self.test_fraction, split)
        if not len(index):
            raise ConfigError(
                "dataset.test_fraction", self.test_fraction,
                f"none of the {len(images)} rows of {path} is left for the {split} split",
            )  # fmt: skip
        return Split(images, labels).subset(index)

    def _images(self, array: np.ndarray, where: str) -> Tensor:
        """(N, C, H, W) uint8 or floats; raises UserError with what is wrong, and where."""
        if array.dtype.kind not in "buif":
            raise UserError(f"{where}: holds {array.dtype}; images must be real numbers")
        self.note = f"layout {layout_of(array.shape) if self.layout == 'auto' else self.layout}"
        array = as_nchw(array, self.layout, where)
        if array.size == 0:
            raise UserError(f"{where}: is empty, its shape is {array.shape}")
        if array.dtype == np.uint8 and self.white is None:
            return torch.from_numpy(np.ascontiguousarray(array))
        wide = array.dtype.itemsize >= (4 if array.dtype.kind in "ui" else 8)
        native = np.ascontiguousarray(array, dtype=np.float64 if wide else np.float32)
        images = to_float(torch.from_numpy(native))
        bad = ~torch.isfinite(images)
        if bad.any():
            row = int(bad.flatten(1).any(1).nonzero()[0])
            count = int(bad.sum())
            raise UserError(f"{where}: {count} values are NaN or infinite, first in row {row}")
        return images if self.white is None else images / self.white

    @override
    def white_hint(self, largest: float) -> str:
        scale = 255 if self.white is None and self._file_holds_bytes() else self.white or 1
        return f"dataset.white={largest * scale:g} if that is white"

    def _file_holds_bytes(self) -> bool:
        return bool(self._read("train").images.dtype == torch.uint8)


@contextmanager
def _opened(path: Path) -> Iterator[np.ndarray | NpzFile]:
    """The content of a file; ConfigError where it, or what is read of it, is damaged."""
    try:
        _check_memory(path)
        with path.open("rb") as file:
            yield np.load(file, allow_pickle=False)
    except UserError:
        raise
    except Exception as error:  # NumPy and zipfile raise many kinds on what is damaged
        reason = (str(error).splitlines() or ["it ends too early"])[0]
        raise ConfigError(
            _PATH, path, f"it cannot be read as .npz or .npy: {reason[:200]}",
            "save it by numpy.savez(path, x=images) with plain numbers",
        ) from error  # fmt: skip


def _check_memory(path: Path) -> None:
    """Raise ConfigError for an .npz that claims more than half of the free memory when expanded."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        claimed = sum(entry.file_size for entry in archive.infolist())
    free = available_memory()
    if free is not None and claimed > free / 2:
        sizes = f"{claimed / GIB:.1f} GiB expanded, and {free / GIB:.1f} GiB of memory are free"
        raise ConfigError(_PATH, path, sizes, "use fewer images at a time")


def _is_parted(content: np.ndarray | NpzFile) -> bool:
    """Whether train and test are separate arrays."""
    return isinstance(content, NpzFile) and {"x_train", "x_test"} <= set(content.files)


def _only(keys: set[str], wanted: tuple[str, ...], path: Path) -> str:
    found = [key for key in wanted if key in keys]
    if len(found) != 1:
        raise ConfigError(
            _PATH, path,
            f"has the keys {', '.join(sorted(keys)) or '(none)'}; one of {' and '.join(wanted)} is "
            "needed", "keys: x (or images) and y (or labels); or x_train, x_test, y_train, y_test",
        )  # fmt: skip
    return found[0]


def _labels(array: np.ndarray | None, n: int, where: str) -> Tensor | None:
    """(N,) int64, or None where there are none."""
    if array is None:
        return None
    if array.dtype.kind not in "bui":
        raise UserError(f"{where}: holds {array.dtype}; labels must be integers", _UNLABELLED)
    if array.shape not in {(n,), (n, 1)}:
        raise UserError(
            f"{where}: has the shape {array.shape}; {n} images need ({n},) labels", _UNLABELLED
        )
    return torch.from_numpy(array.reshape(n).astype(np.int64))
