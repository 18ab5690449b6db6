"""Data sets on disk as their publishers lay them out, small and made on the spot."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits


def write_idx(path: Path, array: np.ndarray) -> None:
    """An array of bytes in the format of MNIST's files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">I{array.ndim}I", 0x800 + array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def small_mnist(root: Path) -> None:
    """MNIST of 440 train and 60 test images, and test splits of two others: digits, enlarged."""
    digits = load_digits()
    images = np.kron(digits.images[:500] * 255 / 16, np.ones((3, 3)))
    images = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    parts = {"train": slice(0, 440), "t10k": slice(440, 500)}
    for stem, part in parts.items():
        write_idx(root / "MNIST" / "raw" / f"{stem}-images-idx3-ubyte", images[part])
        write_idx(root / "MNIST" / "raw" / f"{stem}-labels-idx1-ubyte", digits.target[part])
    turned, labels = images[parts["t10k"]].transpose(0, 2, 1), digits.target[parts["t10k"]]
    for name in ("KMNIST", "FashionMNIST"):
        write_idx(root / name / "raw" / "t10k-images-idx3-ubyte", turned)
        write_idx(root / name / "raw" / "t10k-labels-idx1-ubyte", labels)
