"""dSprites: the sprites that disentanglement is measured on."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from aecore.data.images.cache import cache_folder, mapped, read_or_write, write_array
from aecore.data.images.memory import InMemory, available_memory, fits
from aecore.data.sources.fetch import fetch
from aecore.data.split import Source, Split, Which, fixed_part

FILE = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
URL = f"https://github.com/google-deepmind/dsprites-dataset/raw/master/{FILE}"
MD5 = "7da33b31b13a06f4b04a70402ce90c2e"
IMAGE = (1, 64, 64)
SHAPES = ("square", "ellipse", "heart")
AT_ONCE = 4096  # images unpacked at once


@final
class DSprites(Source):
    """737,280 white squares, ellipses and hearts on black, (1, 64, 64) uint8, each 0 or 255.

    The file lies in the data folder, or is downloaded (26 MB). Unpacked it takes 3 GiB: where
    that is too much for the memory it goes to a file that is mapped into it, as of `ImageFolder`.
    A fixed part is for testing, the same in every run. The labels are the shapes; factors are
    shape, scale, orientation, x and y, as the colour is always white.
    Source: L. Matthey, I. Higgins, D. Hassabis, A. Lerchner, dSprites: Disentanglement testing
    Sprites dataset, 2017.

    in_memory, cache_dir: as of `ImageFolder`.
    """

    test_fraction: Annotated[float, Field(gt=0, lt=1)]
    in_memory: InMemory
    cache_dir: str | None

    def load(self, split: Which, data_dir: Path) -> Split:
        """Unpack one split, or map the file that an earlier load unpacked."""
        from torchvision.datasets.utils import download_url  # slow

        path = data_dir / FILE
        fetch(
            lambda: download_url(URL, data_dir, FILE, MD5),
            {path: MD5},
            "; dataset=shapes is much like it",
        )
        with np.load(path, allow_pickle=False) as content:  # the member `metadata` is a pickle
            factors = torch.from_numpy(content["latents_classes"][:, 1:])
        index = fixed_part(len(factors), self.test_fraction, split)
        free = None if self.in_memory is False else available_memory()
        if fits(self.in_memory, len(index), IMAGE, free):
            images, rows = _chosen(path, len(factors), index), None
        else:
            file = cache_folder(self.cache_dir, data_dir) / f"dsprites-{MD5[:16]}.npy"
            images, rows = _mapped(path, len(factors), file), index
        return Split(
            images=images,
            labels=factors[index, 0],
            class_names=SHAPES,
            rows=rows,
            factors=factors[index],
        )


def _unpacked(path: Path, count: int) -> Iterator[NDArray[np.uint8]]:
    """All images in order, (n, 1, 64, 64) uint8 0 or 255, in chunks."""
    with zipfile.ZipFile(path) as archive, archive.open("imgs.npy") as file:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        for start in range(0, count, AT_ONCE):
            size = min(AT_ONCE, count - start)
            stored = np.frombuffer(file.read(size * math.prod(IMAGE)), np.uint8)
            yield 255 * stored.reshape(size, *IMAGE)


def _chosen(path: Path, count: int, index: Tensor) -> Tensor:
    """The images at `index` (N,), ascending, in memory."""
    chosen = np.isin(np.arange(count), index)
    parts = np.split(chosen, range(AT_ONCE, count, AT_ONCE))
    images = [part[own] for part, own in zip(_unpacked(path, count), parts, strict=True)]
    return torch.from_numpy(np.concatenate(images))


def _mapped(path: Path, count: int, file: Path) -> Tensor:
    """All images, in a file of the cache that is written if it is not there."""
    shape = (count, *IMAGE)
    return read_or_write(
        file,
        lambda file: mapped(file, shape),
        lambda file: write_array(file, shape, _unpacked(path, count)),
    )
