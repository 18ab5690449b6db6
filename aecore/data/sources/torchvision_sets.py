"""The classic image sets, through torchvision's dataset classes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, final

import torch

from aecore.data.sources.fetch import damaged, fetch
from aecore.data.split import Source, Split, Which
from aecore.errors import UserError

if TYPE_CHECKING:
    from torchvision.datasets import MNIST

SetName = Literal["MNIST", "FashionMNIST", "KMNIST", "CIFAR10"]

# Errors of torchvision's readers for files that are no idx files.
_NOT_IDX = (AssertionError, KeyError, OSError, RuntimeError, TypeError, ValueError)


@final
class Torchvision(Source):
    """MNIST and its kin (1, 28, 28), or CIFAR-10 (3, 32, 32), as uint8.

    What lies in the data folder in torchvision's layout is used (`MNIST/raw/*-ubyte`,
    `cifar-10-batches-py/`); else it is downloaded at first use.
    """

    name: SetName

    def load(self, split: Which, data_dir: Path) -> Split:
        """Read one split; of the MNIST kin, that split's files suffice."""
        from torchvision import datasets  # slow

        if self.name == "CIFAR10":
            return _load_cifar10(split, data_dir)
        return _load_idx(getattr(datasets, self.name), split, data_dir)


def _load_idx(kind: type[MNIST], split: Which, data_dir: Path) -> Split:
    """Read the two files of the split: torchvision's class wants all four or downloads."""
    from torchvision.datasets.mnist import read_image_file, read_label_file

    stem = "train" if split == "train" else "t10k"
    raw = data_dir / kind.__name__ / "raw"
    image_file, label_file = raw / f"{stem}-images-idx3-ubyte", raw / f"{stem}-labels-idx1-ubyte"
    fetch(lambda: kind(data_dir, download=True), {image_file: None, label_file: None})
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
    if int(labels.max()) >= len(kind.classes):
        raise damaged(label_file, f"it has the label {int(labels.max())}")
    names = tuple(name.partition(" - ")[0] for name in kind.classes)  # of "3 - three" the first
    return Split(images.unsqueeze(1), labels, class_names=names)


def _load_cifar10(split: Which, data_dir: Path) -> Split:
    """Read CIFAR-10's pickles, none before every one of them has passed its checksum."""
    from torchvision.datasets import CIFAR10

    meta = [CIFAR10.meta["filename"], CIFAR10.meta["md5"]]
    sums = dict([*CIFAR10.train_list, *CIFAR10.test_list, meta])
    folder = data_dir / CIFAR10.base_folder
    fetch(lambda: CIFAR10(data_dir, download=True), {folder / name: sums[name] for name in sums})
    try:
        loaded = CIFAR10(data_dir, train=split == "train")
    except (OSError, RuntimeError) as error:
        raise UserError(f"{folder}: {error}") from error
    return Split(
        images=torch.from_numpy(loaded.data).permute(0, 3, 1, 2).contiguous(),
        labels=torch.tensor(loaded.targets, dtype=torch.int64),
        class_names=tuple(loaded.classes),
    )
