"""Decoded images in memory or, where they are too many, in a file that is mapped into memory."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from errno import ENOSPC
from pathlib import Path
from typing import TypeVar

import numpy as np
import PIL
import torch
from filelock import FileLock, Timeout
from pydantic import BaseModel
from torch import Tensor
from tqdm import tqdm

from aecore.config.component import NonNegativeInt
from aecore.config.folders import expanded
from aecore.config.terminal import say
from aecore.data.images.decode import Recipe
from aecore.data.images.files import Files
from aecore.data.images.many import Decoded, decode_all, decode_into, kept_of
from aecore.data.images.memory import GIB, SMALLER, InMemory, available_memory, fits
from aecore.data.reading import check_writable
from aecore.errors import ConfigError
from aecore.version import FORMAT

T = TypeVar("T")
BYTES_AT_ONCE = 32 * 2**20  # decoded before they are written
IMAGES, RECORD = "images.npy", "record.json"  # of a folder of the cache
DECODING = 1  # raised when the same files are to be decoded anew
_UNREADABLE = (OSError, ValueError, IndexError, OverflowError)  # of what is damaged


class _Record(BaseModel, strict=True):
    """Beside the pixels. state: of the files. broken: those that could not be decoded."""

    format: int
    state: str
    broken: list[NonNegativeInt]


def cache_folder(cache_dir: str | None, data_dir: Path) -> Path:
    """Where decoded images are kept: the folder `dataset.cache_dir`, or one among the data."""
    if cache_dir is None:
        return data_dir / "cache"
    return expanded(cache_dir).absolute()


def decoded(files: Files, part: str, recipe: Recipe, in_memory: InMemory, cache: Path) -> Decoded:
    """Decode files, into memory where they fit and that is wanted, else into a file of `cache`.

    part: what these files are among others of their folder. What was in the cache for the same
    folder, part and recipe is replaced when a file has changed, come or gone.
    Raises ConfigError where neither the memory nor the disk has room.
    """
    free = None if in_memory is False else available_memory()
    if fits(in_memory, len(files), recipe.shape, free):
        return decode_all(files, recipe)
    asked = {"root": os.fsdecode(files.root), "part": part, "recipe": repr(recipe)}
    key = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]
    state = _fingerprint(files)
    return read_or_write(
        cache / key,
        lambda entry: _read(entry, files, recipe, state),
        lambda entry: _write(entry, files, recipe, {**asked, "state": state}),
        SMALLER,
    )


def read_or_write(
    path: Path,
    read: Callable[[Path], T],
    write: Callable[[Path], None],
    hint: Mapping[str, object] | None = None,
) -> T:
    """What is read from a path of the cache; it is written first where it is missing or damaged.

    hint: what else than another folder helps. Raises ConfigError where it cannot be kept there.
    """
    with suppress(*_UNREADABLE):
        return read(path)
    try:
        with making(path) as made:
            with suppress(*_UNREADABLE):  # another process may have written it by now
                return read(path)
            write(made)
        return read(path)
    except OSError as error:
        raise ConfigError(
            "dataset.cache_dir", path.parent,
            f"decoded images cannot be kept there: {error.strerror}",
            {"dataset.cache_dir": "/a/folder with room for them", **(hint or {})},
        ) from error  # fmt: skip


@contextmanager
def making(path: Path) -> Iterator[Path]:
    """Where to write what is to appear at `path`, a file or folder, once it is complete.

    One process at a time is let in, on all machines that share the disk.
    """
    check_writable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.partial")
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"waiting for another process that writes {path}", error=True)
        lock.acquire()
    try:
        _remove(made)  # of a process that was killed
        yield made
        if made.exists():
            _remove(path)
            made.rename(path)
    finally:
        _remove(made)
        lock.release()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _fingerprint(files: Files) -> str:
    """A hash of the names, sizes and times of the files, and of what decodes them."""
    digest = hashlib.sha256(f"{DECODING} {PIL.__version__}\n".encode())
    for name, path in zip(files.names, files, strict=True):
        try:
            status = path.stat()
            state = f"{status.st_size} {status.st_mtime_ns}"
        except OSError:  # gone or forbidden: decoding will say so
            state = "none"
        digest.update(os.fsencode(name) + f"\0{state}\n".encode())
    return digest.hexdigest()[:16]


def _read(entry: Path, files: Files, recipe: Recipe, state: str) -> Decoded:
    """The content of a folder; an error of `_UNREADABLE` if it is damaged or out of date."""
    record = _Record.model_validate_json((entry / RECORD).read_bytes())
    if (record.format, record.state) != (FORMAT, state):
        raise ValueError("out of date")
    images = mapped(entry / IMAGES, (len(files), *recipe.shape))
    # What made files unreadable may be over: a permission, a disk that was away.
    again = decode_all(files.at(record.broken), recipe)
    if len(again.kept):
        raise ValueError("a broken file can be read again")
    kept = kept_of(len(files), record.broken)
    return Decoded(images, kept, again.broken, rows=kept)


def mapped(path: Path, shape: tuple[int, ...]) -> Tensor:
    """The uint8 pixels in a file of the cache, mapped into memory and never written to.

    Not copy-on-write: of that, systems refuse to map more than they have memory.
    Raises OSError or ValueError where the file is not a whole one of that shape.
    """
    images = np.lib.format.open_memmap(path, mode="r")
    if images.shape != shape or images.dtype != np.uint8 or not images.flags.c_contiguous:
        raise ValueError("not the file that was written")
    with warnings.catch_warnings(action="ignore"):  # it is not writable, and stays so
        return torch.from_numpy(images)


def _write(entry: Path, files: Files, recipe: Recipe, asked: Mapping[str, str]) -> None:
    entry.mkdir()
    broken: list[int] = []
    parts = _decode_in_parts(files, recipe, broken)
    write_array(entry / IMAGES, (len(files), *recipe.shape), parts)
    record = {"format": FORMAT, **asked, "broken": broken}
    (entry / RECORD).write_text(json.dumps(record, indent=1))


def _decode_in_parts(files: Files, recipe: Recipe, broken: list[int]) -> Iterator[np.ndarray]:
    """All files in order, (n, C, H, W); adds the numbers of those that are broken to a list."""
    count = max(BYTES_AT_ONCE // math.prod(recipe.shape), 8)
    for start in range(0, len(files), count):
        part = files.at(range(start, min(start + count, len(files))))
        images = np.zeros((len(part), *recipe.shape), np.uint8)
        broken += [start + i for i in decode_into(images, part, recipe)]
        yield images


def write_array(path: Path, shape: tuple[int, ...], parts: Iterable[np.ndarray]) -> None:
    """Write uint8 images, (N, C, H, W) as a whole, as the array that `mapped` reads.

    Written, not stored into a map: a full disk is an error here, a map would end the process.
    """
    needed, free = math.prod(shape), shutil.disk_usage(path.parent).free
    if needed > free:
        needs = f"they take {needed / GIB:.1f} GiB, {free / GIB:.1f} GiB are free"
        raise OSError(ENOSPC, needs)
    say(f"decoding {shape[0]:,} images ({needed / GIB:.1f} GiB) into {path.parent}", error=True)
    with path.open("wb") as file, tqdm(total=shape[0], unit="image", delay=1, leave=False) as bar:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for images in parts:
            file.write(images.data)
            bar.update(len(images))
        file.flush()
        os.fsync(file.fileno())
