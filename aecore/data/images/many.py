"""Many image files at once: decoded to uint8 arrays, or looked at."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from aecore.data.images.decode import (
    Recipe,
    decoded_or_reason,
    is_grey,
    largest,
    open_image,
    pages,
)  # fmt: skip
from aecore.data.images.files import Files, may_have_pages

T = TypeVar("T")
BY_THREADS = 4096  # files, before processes take over
_TASK = 64  # files handed over at once: of small ones, handing over takes as long as reading


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Image files as they were decoded.

    images: (M, C, H, W) uint8. kept: (K,) int64, which of the files could be decoded. broken: why
    others could not, by path.
    rows: which of `images` these K are, as `Split.rows`; None: all of them, held in memory.
    """

    images: Tensor
    kept: Tensor
    broken: dict[Path, str]
    rows: Tensor | None = None


@contextmanager
def _quiet() -> Iterator[None]:
    """Nobody hears Pillow's warnings but that of a bomb, which is an error."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _each(function: Callable[[Path], T], paths: Sequence[Path]) -> list[T]:
    return [function(path) for path in paths]


def _each_quietly(function: Callable[[Path], T], paths: Sequence[Path]) -> list[T]:
    with _quiet():
        return _each(function, paths)


def _at_once(function: Callable[[Path], T], paths: Iterable[Path]) -> Iterator[T]:
    """The results of a function of paths, in order, by several threads or processes.

    Of small files the most time is Python's, which threads cannot share; processes do, but take a
    second to start, so that of many files only the later ones are theirs.
    """
    rest = iter(paths)
    if first := list(islice(rest, BY_THREADS)):
        size = min(_TASK, -(-len(first) // (4 * (os.cpu_count() or 1))))
        # Filters are shared by all threads, so they are set once around the pool.
        with _quiet(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            yield from chain.from_iterable(pool.map(partial(_each, function), _tasks(first, size)))
    if later := list(islice(rest, 1)):
        yield from _by_processes(function, chain(later, rest))


def _by_processes(function: Callable[[Path], T], paths: Iterable[Path]) -> Iterator[T]:
    from joblib import Parallel, delayed  # slow

    call = delayed(partial(_each_quietly, function))
    tasks = (call(part) for part in _tasks(paths, _TASK))
    results = Parallel(-1, return_as="generator")(tasks)
    try:
        yield from chain.from_iterable(results)
    finally:
        with warnings.catch_warnings(action="ignore"):  # it warns where that is not the end
            results.close()


def _tasks(paths: Iterable[Path], size: int) -> Iterator[list[Path]]:
    rest = iter(paths)
    while task := list(islice(rest, size)):
        yield task


def decode_into(images: np.ndarray, files: Files, recipe: Recipe) -> dict[int, str]:
    """Fill (N, C, H, W) uint8 with N files; why the broken ones among them stay as they are."""
    broken = {}
    for i, result in enumerate(_at_once(partial(decoded_or_reason, recipe=recipe), files)):
        if isinstance(result, str):
            broken[i] = result
        else:
            images[i] = result
    return broken


def kept_of(count: int, broken: Iterable[int]) -> Tensor:
    """(K,) int64, ascending: indices of images that are not broken."""
    good = torch.ones(count, dtype=torch.bool)
    good[list(broken)] = False
    return good.nonzero()[:, 0]


def decode_all(files: Files, recipe: Recipe) -> Decoded:
    """Decode many files into memory; broken ones are listed, not raised."""
    images = np.empty((len(files), *recipe.shape), np.uint8)
    broken = decode_into(images, files, recipe)
    kept = kept_of(len(files), broken)
    tensor = torch.from_numpy(images)
    why = {files[i]: text for i, text in broken.items()}
    return Decoded(tensor[kept] if broken else tensor, kept, why)


def inspect(paths: Iterable[Path], look: Callable[[Image.Image], T]) -> Iterator[T | None]:
    """What a function finds in each image, which is open but not decoded; None if it is broken."""
    return _at_once(partial(_looked_at, look), paths)


def _looked_at(look: Callable[[Image.Image], T], path: Path) -> T | None:
    try:
        with open_image(path) as image:
            return look(image)
    except Exception:  # of many kinds, as in `decoded_or_reason`, which reports it
        return None


def all_grey(paths: Iterable[Path]) -> bool:
    """Whether every image that can be decoded is grey; the first that is not decides.

    What is grey is read from the headers, so of grey images none is decoded here. Broken files
    have no say.
    """
    any_grey = False
    for answer in inspect(paths, is_grey):
        if answer is False:
            return False
        any_grey |= answer is True
    return any_grey


def count_paged(files: Files) -> int:
    """How many of the files hold more than one image, by their headers."""
    some = (path for path in files if may_have_pages(path.name))
    return sum((n or 1) > 1 for n in inspect(some, pages))


def largest_value(files: Files) -> float:
    """The largest pixel of the files, as the files have them; 0 where none can be read."""
    return max((value or 0.0 for value in inspect(files, largest)), default=0.0)
