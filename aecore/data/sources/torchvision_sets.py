"""The classic image sets, through torchvision's dataset classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, final

import torch

from aecore.data.sources.fetch import damaged, fetch
from aecore.data.split import Source, Split, Which
from aecore.errors import UserError

SetName = Literal["MNIST", "FashionMNIST", "KMNIST", "CIFAR10", "CIFAR100", "SVHN"]
EmnistSplit = Literal["byclass", "bymerge", "balanced", "letters", "digits", "mnist"]

# Errors of torchvision's readers for files that are no idx files.
_NOT_IDX = (AssertionError, KeyError, OSError, RuntimeError, TypeError, ValueError)


@final
class Torchvision(Source):
    """MNIST and its kin (1, 28, 28), CIFAR-10, CIFAR-100 or SVHN (3, 32, 32), as uint8.

    What lies in the data folder in torchvision's layout is used (`MNIST/raw/*-ubyte`,
    `cifar-10-batches-py/`, `cifar-100-python/`, `train_32x32.mat`); else it is downloaded at first
    use. CIFAR-100 has its 100 fine classes; the training images of SVHN are without its `extra`.
    """

    name: SetName

    def load(self, split: Which, data_dir: Path) -> Split:
        """Read one split; of all but CIFAR, that split's files suffice."""
        from torchvision import datasets  # slow

        kind = getattr(datasets, self.name)
        if self.name in ("CIFAR10", "CIFAR100"):
            return _load_cifar(kind, split, data_dir)
        if self.name == "SVHN":
            return _load_svhn(split, data_dir)
        stem = "train" if split == "train" else "t10k"
        names = tuple(name.partition(" - ")[0] for name in kind.classes)  # of "3 - three" the first
        folder = data_dir / self.name / "raw"
        return _load_idx(folder, stem, names, lambda: kind(data_dir, download=True))


@final
class Emnist(Source):
    """EMNIST, handwritten letters and digits, (1, 28, 28) uint8, upright.

    The files of torchvision (`EMNIST/raw/emnist-SPLIT-train-images-idx3-ubyte`, ...), downloaded
    at first use (562 MB), hold each image transposed, and number letters from 1; here the labels
    count from 0. Source: G. Cohen et al., EMNIST: an extension of MNIST to handwritten letters,
    2017.

    split: which of its six sets, each with its own training and test images.
    """

    split: EmnistSplit

    def load(self, split: Which, data_dir: Path) -> Split:
        """Read one split; its files suffice."""
        from torchvision.datasets import EMNIST  # slow

        names = tuple(EMNIST.classes_split_dict[self.split])
        stored = _load_idx(
            data_dir / "EMNIST" / "raw",
            f"emnist-{self.split}-{split}",
            names,
            lambda: EMNIST(data_dir, self.split, download=True),
        )
        assert stored.labels is not None
        labels = stored.labels
        if names[0] == "N/A":
            labels, names = labels - 1, names[1:]
        return Split(stored.images.transpose(2, 3).contiguous(), labels, class_names=names)


def _load_idx(
    folder: Path, stem: str, names: tuple[str, ...], download: Callable[[], object]
) -> Split:
    """Read the two files of the split: torchvision's class wants all four or downloads.

    stem: with which their names begin. names: of the classes.
    """
    from torchvision.datasets.mnist import read_image_file, read_label_file

    image_file, label_file = (
        folder / f"{stem}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1")
    )
    fetch(download, {image_file: None, label_file: None})
    path = image_file
    try:
        images = read_image_file(str(image_file))
        path = label_file
        labels = read_label_file(str(label_file))
    except _NOT_IDX as error:
        reason = (str(error).splitlines() or ["it is no idx file"])[0]
        raise damaged(path, reason or "it is no idx file") from error
    if images.shape[1:] != (28, 28):
        raise damaged(image_file, f"its images have the shape {tuple(images.shape[1:])}")
    if len(labels) != len(images):
        raise damaged(label_file, f"it has {len(labels)} labels for {len(images)} images")
    if not {*labels.unique().tolist()} <= {n for n, name in enumerate(names) if name != "N/A"}:
        raise damaged(label_file, f"it has the label {int(labels.max())}")
    return Split(images.unsqueeze(1), labels, class_names=names)


def _load_cifar(kind: Any, split: Which, data_dir: Path) -> Split:
    """Read the pickles of CIFAR-10 or -100, none before every one has passed its checksum."""
    meta = [kind.meta["filename"], kind.meta["md5"]]
    sums = dict([*kind.train_list, *kind.test_list, meta])
    folder = data_dir / kind.base_folder
    fetch(lambda: kind(data_dir, download=True), {folder / name: sums[name] for name in sums})
    try:
        loaded = kind(data_dir, train=split == "train")
    except (OSError, RuntimeError) as error:
        raise UserError(f"{folder}: {error}") from error
    return Split(
        images=torch.from_numpy(loaded.data).permute(0, 3, 1, 2).contiguous(),
        labels=torch.tensor(loaded.targets, dtype=torch.int64),
        class_names=tuple(loaded.classes),
    )


def _load_svhn(split: Which, data_dir: Path) -> Split:
    """Read the MATLAB file of one split once it has passed its checksum."""
    from torchvision.datasets import SVHN

    _, name, md5 = SVHN.split_list[split]
    path = data_dir / name
    fetch(lambda: SVHN(data_dir, split, download=True), {path: md5})
    try:
        loaded = SVHN(data_dir, split)
    except (OSError, RuntimeError) as error:
        raise UserError(f"{path}: {error}") from error
    return Split(
        images=torch.from_numpy(loaded.data).contiguous(),
        labels=torch.from_numpy(loaded.labels),
        class_names=tuple("0123456789"),
    )
