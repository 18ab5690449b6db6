"""Images or tables from a NumPy file."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from aecore.config.component import PositiveFloat, Probability
from aecore.config.folders import expanded
from aecore.data.images.memory import available_memory, check_memory
from aecore.data.sources.layouts import Layout, as_nchw, layout_of
from aecore.data.split import Source, Split, Which, fixed_part, to_float
from aecore.errors import ConfigError, UserError

log = logging.getLogger("aecore")

_PATH = "dataset.path"
_UNLABELLED = "numpy.unique(y, return_inverse=True)[1] numbers classes; training needs no labels"
_IMAGES, _LABELS = ("x", "images"), ("y", "labels")
_TARGETS = ("target", "targets")
_PARTED = {"x_train", "x_test", "y_train", "y_test", "target_train", "target_test"}


@final
class Arrays(Source):
    """Images or a table from an .npz or .npy file; nothing in it is ever unpickled.

    Keys of an .npz: `x_train` and `x_test` (labels `y_train`, `y_test`) hold the splits; or else
    `x` or `images` (labels `y` or `labels`), as the one array of an .npy, is split by
    `test_fraction` and a fixed permutation. `target_train` and `target_test`, or `target`, are
    what the outputs for the images of the same rows are compared with, of the same shape (numbers
    with one axis are not).
    Numbers: uint8 stays 0..255 and is read as [0, 1]; all else stays as it is, as float32 or, where
    that is too coarse for it, as float64.

    path: the file; None is refused by `load`. layout: the order of axes, see `layout_of`.
    white: the number that is white, 4095 for 12 bits; None for 255 of uint8 and 1 of others.
    """

    path: str | None
    test_fraction: Probability
    layout: Layout = "auto"
    white: PositiveFloat | None = None

    def load(self, split: Which, data_dir: Path) -> Split:
        """Read one split; `data_dir` is not used."""
        with self._opened() as content:
            if split != "test":
                self._name_unused(content)
            if _is_parted(content):
                self._check_targets(content)
                return self._split(content, f"x_{split}", f"y_{split}", f"target_{split}")
            whole = self._one(content)
        index = fixed_part(len(whole), self.test_fraction, split)
        if not len(index):
            raise ConfigError(
                "dataset.test_fraction", self.test_fraction,
                f"none of the {len(whole)} rows of {self.path} is left for the {split} split",
            )  # fmt: skip
        return whole.subset(index)

    @override
    def whole(self, data_dir: Path) -> tuple[Split, Tensor]:
        with self._opened() as content:
            if _is_parted(content):
                return super().whole(data_dir)
            self._name_unused(content)
            whole = self._one(content)
        return whole, fixed_part(len(whole), self.test_fraction, "test")

    @contextmanager
    def _opened(self) -> Iterator[Mapping[str, np.ndarray]]:
        """The arrays of the file; ConfigError where it, or what is read of it, is damaged."""
        path = self._file()
        try:
            _check_memory(path)
            with path.open("rb") as file:
                content = np.load(file, allow_pickle=False)
                yield {"x": content} if isinstance(content, np.ndarray) else content
        except UserError:
            raise
        except Exception as error:  # NumPy and zipfile raise many kinds on what is damaged
            reason = (str(error).splitlines() or ["it ends too early"])[0]
            raise ConfigError(
                _PATH, path, f"it cannot be read as .npz or .npy: {reason[:200]}",
                "save it by numpy.savez(path, x=images) with plain numbers",
            ) from error  # fmt: skip

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

    def _check_targets(self, content: Mapping[str, np.ndarray]) -> None:
        """Raise ConfigError where one split has targets and the other none."""
        given = {key: _is_target(content, key) for key in ("target_train", "target_test")}
        if any(given.values()) and not all(given.values()):
            problem = f"it has {max(given, key=given.__getitem__)} alone"
            raise ConfigError(_PATH, self._file(), problem, "give target_train and target_test")

    def _name_unused(self, content: Mapping[str, np.ndarray]) -> None:
        used = _PARTED if _is_parted(content) else {*_IMAGES, *_LABELS, *_TARGETS}
        used = {key for key in used if not key.startswith("target") or _is_target(content, key)}
        if unused := ", ".join(sorted({*content} - used)):
            held = "; validation images are drawn from x_train" if "x_val" in content else ""
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
        found = [key for key in wanted if key in content]
        if len(found) != 1:
            keys = ", ".join(sorted(content)) or "(none)"
            problem = f"has the keys {keys}; one of {' and '.join(wanted)} is needed"
            raise ConfigError(
                _PATH, self._file(), problem,
                "keys: x (or images) and y (or labels); or x_train, x_test, y_train, y_test",
            )  # fmt: skip
        return found[0]

    def _split(
        self, content: Mapping[str, np.ndarray], key: str, labels: str, targets: str
    ) -> Split:
        """The images of a key, with labels and targets of others, which need not be there."""
        split = Split(self._images(content[key], f"{self._file()} [{key}]"))
        if _is_target(content, targets):
            split = replace(split, targets=self._targets(content[targets], targets, split))
        if labels not in content:
            return split
        where = f"{self._file()} [{labels}]"
        return replace(split, labels=_labels(content[labels], len(split), where))

    def _targets(self, array: np.ndarray, key: str, split: Split) -> Tensor:
        where = f"{self._file()} [{key}]"
        targets = self._images(array, where)
        if targets.shape != split.images.shape:
            given, wanted = (tuple(some.shape) for some in (targets, split.images))
            raise UserError(f"{where}: has the shape {given}; the images need targets {wanted}")
        return targets

    def _images(self, array: np.ndarray, where: str) -> Tensor:
        """(N, C, H, W) uint8 or floats; raises UserError with what is wrong, and where."""
        if array.dtype.kind not in "buif":
            raise UserError(f"{where}: holds {array.dtype}; images must be real numbers")
        self._white = self.white or (255 if array.dtype == np.uint8 else 1)
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
        return f"dataset.white={largest * self._white:g} if that is white"


def _check_memory(path: Path) -> None:
    """Raise ConfigError for an .npz that claims more than half of the free memory when expanded."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        claimed = sum(entry.file_size for entry in archive.infolist())
    hint = "use fewer images at a time"
    check_memory(2 * claimed, available_memory(), (_PATH, path), "its arrays", hint)


def _is_target(content: Mapping[str, np.ndarray], key: str) -> bool:
    """Whether images are compared with that array; one number an image is a label or the like."""
    return key in content and content[key].ndim > 1


def _is_parted(content: Mapping[str, np.ndarray]) -> bool:
    """Whether train and test are separate arrays."""
    return "x_train" in content and "x_test" in content


def _labels(array: np.ndarray, n: int, where: str) -> Tensor:
    """(N,) int64."""
    if array.dtype.kind not in "bui":
        raise UserError(f"{where}: holds {array.dtype}; labels must be integers", _UNLABELLED)
    if array.shape not in {(n,), (n, 1)}:
        raise UserError(
            f"{where}: has the shape {array.shape}; {n} images need ({n},) labels", _UNLABELLED
        )
    return torch.from_numpy(array.reshape(n).astype(np.int64))
