"""Files of runs, sweeps and results: opened for writing here alone, and never through a link.

A run or a sweep may come from anywhere, and a link in its folder may lead anywhere. So no component
of a path below the outermost recorded folder may be a link; that folder itself, and those above it,
may be links.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO

from aecore.errors import UserError

_RECORDS = (("run.json", "config.yaml"), ("sweep.json",))  # what makes a folder a recorded one
_TEMPORARY = re.compile(r"\..+\.\d+\.tmp")
_SUBMITTED = re.compile(r"\.submission_file_[0-9a-f]{32}\.sh")  # links that submitit makes


def checked(path: Path) -> Path:
    """The same path, for a library that opens it itself; UserError where it leads over a link."""
    whole, inside = path.absolute(), False
    for place in reversed((whole, *whole.parents)):
        if inside and place.is_symlink():
            raise _linked(place)
        inside = inside or any(all((place / f).is_file() for f in names) for names in _RECORDS)
    return path


def check_links(folder: Path) -> None:
    """Raise UserError where a link in a folder leads out of it, but for those of libraries."""
    root = os.path.realpath(folder)
    for place, folders, files in os.walk(folder):
        library = Path(place).name
        if library == "wandb":  # writes into a new folder each time
            folders.clear()
            continue
        for link in (p for n in (*folders, *files) if (p := Path(place, n)).is_symlink()):
            by_library = library == ".submitit" and _SUBMITTED.fullmatch(link.name)
            if not (by_library or Path(os.path.realpath(link)).is_relative_to(root)):
                raise _linked(link)


def _linked(path: Path) -> UserError:
    return UserError(
        f"{path}: a symbolic link, and nothing is written through one",
        "delete it, or put what it leads to in its place",
    )


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that replaces the one of a path as a whole, or not at all if the block raises.

    Raises UserError for a link, OSError where it cannot be written.
    """
    temporary = _temporary(path)
    try:
        with temporary.open("xb") as file:  # never one that is there, nor a link
            yield file
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)  # a full disk does not name the file by itself
        raise


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file by a whole one or not at all, synced to the disk; OSError where it cannot."""
    with replacing(path) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_json(path: Path, value: object) -> None:
    """Write plain values as strict JSON, atomically; ValueError for what is not finite."""
    write_atomically(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def replace_by_link(path: Path, other: Path) -> None:
    """Replace `other` by a hard link to `path`, atomically; neither is ever written into."""
    spare = _temporary(other)
    try:
        os.link(checked(path), spare)
    except OSError:  # a file system without hard links
        copy_file(path, other)
        return
    os.replace(spare, other)


def copy_file(source: Path, path: Path) -> None:
    """Replace a file by a copy of another one, as a whole or not at all."""
    with source.open("rb") as original, replacing(path) as file:
        shutil.copyfileobj(original, file)


def appending(path: Path) -> TextIO:
    """A text file to append to; UserError for a link."""
    return open(checked(path), "a", newline="", opener=_unlinked)


def _unlinked(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def make_folder(path: Path) -> Path:
    """Make a folder and those above it, where they are missing; UserError for a link."""
    checked(path).mkdir(parents=True, exist_ok=True)
    return path


def remove(path: Path) -> None:
    """Remove a file or a link, where there is one; UserError where a link leads there."""
    checked(path.parent)
    path.unlink(missing_ok=True)


def remove_tree(path: Path) -> None:
    """Remove a folder as far as possible; UserError for a link."""
    if not checked(path).parent.is_symlink():  # nothing is recorded yet, but this is for ever
        shutil.rmtree(path, ignore_errors=True)


def remove_temporary(folder: Path) -> None:
    """Remove what a killed process was about to write, once no other writes there."""
    for place in (folder, folder / "checkpoints", folder / "figures"):
        for path in list(place.iterdir()) if place.is_dir() else ():
            if _TEMPORARY.fullmatch(path.name):
                remove(path)


def _temporary(path: Path) -> Path:
    """A name beside a path at which nothing is; UserError where the path leads over a link."""
    temporary = checked(path).with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    return temporary
