"""Decoded images in memory or, where they are too many, in a file that is mapped into memory."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL
import torch
from filelock import FileLock, Timeout
from pydantic import BaseModel
from torch import Tensor
from tqdm import tqdm

from aecore.config.folders import expanded
from aecore.config.terminal import say
from aecore.data.images.decode import Decoded, Recipe, decode_all, decode_into, decoders, kept_of
from aecore.data.images.files import Files
from aecore.data.images.memory import GIB, SMALLER, InMemory, available_memory, fits
from aecore.data.reading import check_writable
from aecore.errors import ConfigError
from aecore.version import FORMAT

BYTES_AT_ONCE = 32 * 2**20  # decoded before they are written
IMAGES, RECORD = "images.npy", "record.json"  # of a folder of the cache
DECODING = 1  # raised when the same files are to be decoded anew


class _Record(BaseModel, strict=True):
    """Beside the pixels. broken: the files that could not be decoded, by their numbers."""

    format: int
    broken: list[int]


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
    try:
        return _mapped(files, part, recipe, cache)
    except OSError as error:
        raise ConfigError(
            "dataset.cache_dir", cache, f"decoded images cannot be kept there: {error.strerror}",
            {"dataset.cache_dir": "/a/folder with room for them"},
        ) from error  # fmt: skip


def _mapped(files: Files, part: str, recipe: Recipe, cache: Path) -> Decoded:
    asked = {"root": os.fsdecode(files.root), "part": part, "recipe": repr(recipe)}
    key = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]
    entry = cache / f"{key}-{_fingerprint(files)}"
    found = _read(entry, files, recipe)
    if found is not None:
        return found
    check_writable(entry)
    cache.mkdir(parents=True, exist_ok=True)
    with alone(cache / f"{key}.lock"):
        found = _read(entry, files, recipe)  # another process may have written it by now
        if found is None:
            for old in cache.glob(f"{key}-*"):  # of other files, cut short, or never finished
                shutil.rmtree(old, ignore_errors=True)
            _write(entry, files, recipe, asked)
            found = _read(entry, files, recipe)
    if found is None:
        raise OSError(0, f"{entry} cannot be read back")
    return found


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


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let one process in at a time, on all machines that share the disk."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say("waiting for another process that decodes the same images", error=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _read(entry: Path, files: Files, recipe: Recipe) -> Decoded | None:
    """The content of a cache folder; None if it is missing, damaged or out of date."""
    shape = (len(files), *recipe.shape)
    try:
        record = _Record.model_validate_json((entry / RECORD).read_bytes())
        images = mapped(entry / IMAGES, shape)
    except (OSError, ValueError):
        return None
    numbers = record.broken
    if record.format != FORMAT or any(not 0 <= n < len(files) for n in numbers):
        return None
    why = {}
    if numbers:  # what made them unreadable may be over: a permission, a disk that was away
        broken = files.at(numbers)
        with decoders() as pool:
            found = decode_into(np.empty((len(broken), *shape[1:]), np.uint8), broken, recipe, pool)
        if len(found) < len(broken):
            return None
        why = {broken[i]: text for i, text in found.items()}
    kept = kept_of(len(files), numbers)
    return Decoded(images, kept, why, rows=kept)


def header(shape: tuple[int, ...]) -> bytes:
    """What stands before the pixels in a file of the cache: they are in C order."""
    start = io.BytesIO()
    layout = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(start, layout)
    return start.getvalue()


def mapped(path: Path, shape: tuple[int, ...]) -> Tensor:
    """The uint8 pixels in a file of the cache, mapped into memory and never written to.

    Not copy-on-write: of that, systems refuse to map more than they have memory.
    Raises OSError or ValueError where the file is not a whole one of that shape.
    """
    start = header(shape)
    with path.open("rb") as file:
        if file.read(len(start)) != start or path.stat().st_size != len(start) + math.prod(shape):
            raise ValueError("not the file that was written")
    images = np.memmap(path, np.uint8, "r", len(start), shape)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(images)


def _write(entry: Path, files: Files, recipe: Recipe, asked: dict[str, str]) -> None:
    """Decode into a folder of the cache, which appears when it is complete."""
    needed = math.prod((len(files), *recipe.shape))
    free = shutil.disk_usage(entry.parent).free
    size = f"{len(files):,} images ({needed / GIB:.1f} GiB)"
    if needed > free:
        raise ConfigError(
            "dataset.cache_dir", entry.parent,
            f"{size} are to be decoded, only {free / GIB:.1f} GiB are free",
            {"dataset.cache_dir": "/a/folder on another disk", **SMALLER},
        )  # fmt: skip
    say(f"decoding {size} into {entry}", error=True)
    made = entry.with_name(entry.name + ".partial")
    made.mkdir()
    try:
        with open(made / IMAGES, "wb") as file:
            broken = _fill(file, files, recipe)
            file.flush()
            os.fsync(file.fileno())
        record = {"format": FORMAT, **asked, "broken": broken}
        (made / RECORD).write_text(json.dumps(record, indent=1))
        made.rename(entry)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _fill(file: BinaryIO, files: Files, recipe: Recipe) -> list[int]:
    """Write files as one array, a part at a time; returns the broken ones' numbers.

    Written, not stored into a map: a full disk is an error here, a map would end the process.
    """
    count, broken, reported = len(files), [], 0
    file.write(header((count, *recipe.shape)))
    step = min(max(BYTES_AT_ONCE // math.prod(recipe.shape), 8), count)
    buffer = np.zeros((step, *recipe.shape), np.uint8)
    bar = tqdm(total=count, unit="image", disable=not sys.stderr.isatty(), leave=False)
    with bar, decoders() as pool:
        for start in range(0, count, step):
            part = range(start, min(start + step, count))
            found = decode_into(buffer[: len(part)], files.at(part), recipe, pool)
            broken += [start + i for i in found]
            file.write(buffer[: len(part)].data)
            bar.update(len(part))
            if bar.disable and reported < 10 * part.stop // count < 10:
                reported = 10 * part.stop // count
                say(f"  {part.stop:,} of {count:,}", error=True)
    return broken
