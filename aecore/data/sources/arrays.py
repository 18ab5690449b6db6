"""Images or tables from a NumPy file."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import final

import numpy as np
import torch
from numpy.lib.npyio import NpzFile
from torch import Tensor
from typing_extensions import override

from aecore.config.component import Probability, component
from aecore.data.split import Source, Split, Which, fixed_part, joined, to_float
from aecore.errors import ConfigError, UserError

CHANNELS = (1, 3, 4)
# Errors of NumPy for files that are damaged, truncated, of a wrong size or need unpickling.
_UNREADABLE = (EOFError, MemoryError, OSError, ValueError, zipfile.BadZipFile, zlib.error)
_PATH = "dataset.path"
_SHAPES = "(N, H, W), (N, H, W, C), (N, C, H, W) with C of 1, 3 or 4, or a table (N, D)"


@final
class Arrays(Source):
    """Images or a table from an .npz or .npy file; nothing in it is ever unpickled.

    Keys of an .npz: `x_train` and `x_test` (labels `y_train`, `y_test`) hold the splits; or else
    `x` or `images` (labels `y` or `labels`), as the one array of an .npy, is split by
    `test_fraction` and a fixed permutation.
    Shapes: (N, H, W) is grey, (N, D) a table. Four axes are (N, H, W, C) where the last is 1, 3
    or 4 (also if the second is), else (N, C, H, W) where the second is.
    Numbers: uint8 stays 0..255 and is read as [0, 1]; all else stays as it is, as float32 or, where
    that is too coarse for it, as float64.
    """

    @component
    def __init__(self, *, path: str | None, test_fraction: Probability) -> None:
        """path: the file; None is refused by `load`."""
        self.path = path
        self.test_fraction = test_fraction

    def load(self, split: Which, data_dir: Path) -> Split:
        """Read one split; `data_dir` is not used."""
        return self._read(split)

    def whole(self, data_dir: Path) -> Split:
        """Every row, in its order in the file, train before test."""
        return self._read(None)

    @override
    def test_places(self, whole: Split, data_dir: Path) -> Tensor:
        with self._file().open("rb") as file:
            parted = _is_parted(np.load(file, allow_pickle=False))
        if parted:
            return super().test_places(whole, data_dir)
        return fixed_part(len(whole), self.test_fraction, "test")

    def _read(self, split: Which | None) -> Split:
        path = self._file()
        try:
            with open(path, "rb") as file:
                content = np.load(file, allow_pickle=False)
                if split is None and _is_parted(content):
                    train, test = (self._from(content, w, path) for w in ("train", "test"))
                    return joined(train, test)
                return self._from(content, split, path)
        except _UNREADABLE as error:
            reason = (str(error).splitlines() or ["it ends too early"])[0]
            raise ConfigError(
                _PATH, path, f"it cannot be read as .npz or .npy: {reason}",
                "save it by numpy.savez(path, x=images) with plain numbers",
            ) from error  # fmt: skip

    def _file(self) -> Path:
        if self.path is None:
            raise ConfigError(_PATH, None, "which file is to be read?", {_PATH: "/a/file.npz"})
        path = Path(self.path).expanduser().absolute()
        if path.is_dir():
            hint = "give a file in it, or dataset=image_folder dataset.root=FOLDER"
            raise ConfigError(_PATH, path, "is a folder", hint)
        if not path.is_file():
            raise ConfigError(_PATH, path, "there is no such file")
        if path.suffix.lower() not in {".npz", ".npy"}:
            raise ConfigError(_PATH, path, "must be a .npz or .npy file")
        return path

    def _from(self, content: np.ndarray | NpzFile, split: Which | None, path: Path) -> Split:
        if isinstance(content, np.ndarray):
            return self._part(_images(content, str(path)), None, split, path)
        keys = set(content.files)
        if _is_parted(content):
            key, labels_key = f"x_{split}", f"y_{split}"
            images = _images(content[key], f"{path} [{key}]")
            labels = content[labels_key] if labels_key in keys else None
            return Split(images, _labels(labels, len(images), f"{path} [{labels_key}]"))
        key = _only(keys, ("x", "images"), path)
        labels_key = _only(keys, ("y", "labels"), path) if keys & {"y", "labels"} else ""
        images = _images(content[key], f"{path} [{key}]")
        labels = content[labels_key] if labels_key else None
        checked = _labels(labels, len(images), f"{path} [{labels_key}]")
        return self._part(images, checked, split, path)

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


def _images(array: np.ndarray, where: str) -> Tensor:
    """(N, C, H, W) uint8 or float32; raises UserError with the problem and its position."""
    if array.dtype.kind not in "buif":
        raise UserError(f"{where}: holds {array.dtype}; images must be real numbers")
    match array.shape:
        case (_, width):
            array = array.reshape(-1, 1, 1, width) if width else array
        case (_, _, _):
            array = array[:, None]
        case (_, _, _, last) if last in CHANNELS:
            array = array.transpose(0, 3, 1, 2)
        case (_, second, _, _) if second in CHANNELS:
            pass
        case shape:
            raise UserError(f"{where}: has the shape {shape}; must be {_SHAPES}")
    if array.size == 0:
        raise UserError(f"{where}: is empty, its shape is {array.shape}")
    if array.dtype == np.uint8:
        return torch.from_numpy(np.ascontiguousarray(array))
    wide = array.dtype.itemsize >= (4 if array.dtype.kind in "ui" else 8)
    native = np.ascontiguousarray(array, dtype=np.float64 if wide else np.float32)
    images = to_float(torch.from_numpy(native))
    bad = ~torch.isfinite(images)
    if bad.any():
        row = int(bad.flatten(1).any(1).nonzero()[0])
        raise UserError(f"{where}: {int(bad.sum())} values are NaN or infinite, first in row {row}")
    return images


def _labels(array: np.ndarray | None, n: int, where: str) -> Tensor | None:
    """(N,) int64, or None where there are none."""
    if array is None:
        return None
    if array.dtype.kind not in "bui":
        raise UserError(f"{where}: holds {array.dtype}; labels must be integers")
    if array.shape not in {(n,), (n, 1)}:
        raise UserError(f"{where}: has the shape {array.shape}; {n} images need ({n},) labels")
    return torch.from_numpy(array.reshape(n).astype(np.int64))
