"""Many image files at once: decoded to uint8 arrays, or looked at."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from contextlib import closing
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
    decode_some,
    is_grey,
    largest,
    look_at_some,
    pages,
    quiet,
    quietly,
)
from aecore.data.images.files import Files, may_have_pages
from aecore.errors import UserError

T = TypeVar("T")
BY_THREADS = 1024  # files, before processes take over
_TASK, _BYTES = 64, 2**24  # files, and bytes of results, that are handed over at once


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


def _at_once(
    function: Callable[[Sequence[Path]], T], paths: Iterable[Path], most: int = _TASK
) -> Iterator[T]:
    """The results of a function of some paths each, in order, by several threads or processes.

    Of small files the most time is Python's, which threads cannot share; processes do, but take
    half a second to start, so that of many files only the later ones are theirs. most: paths of a
    task, as handing over each small file takes as long as reading it.
    """
    rest = iter(paths)
    if first := list(islice(rest, BY_THREADS)):
        size = min(most, -(-len(first) // (4 * (os.cpu_count() or 1))))
        # Filters are shared by all threads, so they are set once around the pool.
        with quiet(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            yield from pool.map(function, _tasks(first, size))
    if later := list(islice(rest, 1)):
        yield from _by_processes(function, _tasks(chain(later, rest), most))


def _by_processes(
    function: Callable[[Sequence[Path]], T], tasks: Iterable[Sequence[Path]]
) -> Iterator[T]:
    """Raises UserError where such a process is killed, as by a system short of memory."""
    from joblib import Parallel, delayed  # slow

    call = delayed(partial(quietly, function))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"joblib\.")  # early ends, new workers
            with closing(Parallel(-1, return_as="generator")(map(call, tasks))) as results:
                yield from results
    except BrokenExecutor as error:
        problem = "a process that reads images was killed, perhaps by a system short of memory"
        raise UserError(problem, "end other programs, and try again") from error


def _tasks(paths: Iterable[Path], size: int) -> Iterator[list[Path]]:
    rest = iter(paths)
    while task := list(islice(rest, size)):
        yield task


def decode_into(images: np.ndarray, files: Files, recipe: Recipe) -> dict[int, str]:
    """Fill (N, C, H, W) uint8 with N files; why the broken ones among them are zeros."""
    done, broken = 0, dict[int, str]()
    most = min(max(_BYTES // math.prod(recipe.shape), 1), _TASK)
    for some, why in _at_once(partial(decode_some, recipe=recipe), files, most):
        images[done : done + len(some)] = some
        broken |= {done + i: reason for i, reason in why.items()}
        done += len(some)
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
    return chain.from_iterable(_at_once(partial(look_at_some, look=look), paths))


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
    some = (i for i, name in enumerate(files.names) if may_have_pages(name))
    return sum((n or 1) > 1 for n in inspect(files.at(some), pages))


def largest_value(files: Files) -> float:
    """The largest pixel of the files, as the files have them; 0 where none can be read."""
    return max((value or 0.0 for value in inspect(files, largest)), default=0.0)
