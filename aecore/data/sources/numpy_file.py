"""The arrays of an .npz or .npy file, read or mapped; nothing in it is ever unpickled."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from aecore.config.folders import expanded
from aecore.data.images.memory import InMemory, available_memory, check_memory
from aecore.errors import ConfigError, Hint, UserError

PATH = "dataset.path"
_LARGE = 2**28  # bytes of an .npy that is mapped
_AS_NPY = 'numpy.save("x.npy", x) makes a file that is mapped, however large it is'


def located(path: str, endings: Sequence[str], others: Hint) -> Path:
    """The absolute path of a file of the user; ConfigError where it is none with these endings.

    others: a hint, for files with other endings.
    """
    place = expanded(path).absolute()
    if place.is_dir():
        hint = "give a file in it, or dataset=image_folder dataset.root=FOLDER"
        raise ConfigError(PATH, place, "is a folder", hint)
    if not place.is_file():
        raise ConfigError(PATH, place, "there is no such file")
    if place.suffix.lower() not in endings:
        raise ConfigError(PATH, place, f"must be a {' or '.join(endings)} file", others)
    return place


@contextmanager
def opened(path: Path, in_memory: InMemory) -> Iterator[Mapping[str, np.ndarray]]:
    """The arrays of a file by their keys, `x` of an .npy; a np.memmap where that stays on the disk.

    in_memory: see `Arrays`. Raises ConfigError where the file, or what is read of it in the block,
    is damaged, and where memory is short.
    """
    try:
        if _is_mapped(path, in_memory):
            yield {"x": _mapped(path)}
            return
        with path.open("rb") as file:
            content = np.load(file, allow_pickle=False)
            yield {"x": content} if isinstance(content, np.ndarray) else content
    except UserError:
        raise
    except Exception as error:  # NumPy and zipfile raise many kinds on what is damaged
        reason = (str(error).splitlines() or ["it ends too early"])[0]
        raise ConfigError(
            PATH, path, f"it cannot be read as .npz or .npy: {reason[:200]}",
            "save it by numpy.savez(path, x=images) with plain numbers",
        ) from error  # fmt: skip


def _is_mapped(path: Path, in_memory: InMemory) -> bool:
    """Whether the file is mapped; ConfigError where it cannot be, and where memory is short."""
    size, free = path.stat().st_size, available_memory()
    if zipfile.is_zipfile(path):
        if in_memory is False:
            raise ConfigError("dataset.in_memory", False, "an .npz cannot be mapped", _AS_NPY)
        with zipfile.ZipFile(path) as archive:
            claimed = sum(entry.file_size for entry in archive.infolist())
        check_memory(2 * claimed, free, (PATH, path), "its arrays", _AS_NPY)
        return False
    if in_memory is True:
        hint = {"dataset.in_memory": "auto, which maps a large .npy"}
        check_memory(2 * size, free, ("dataset.in_memory", True), str(path), hint)
    return not in_memory or (in_memory == "auto" and size > _LARGE)


def _mapped(path: Path) -> np.ndarray:
    """The array of an .npy file, mapped; ConfigError where its rows do not lie side by side."""
    array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    if not array.flags.c_contiguous:
        raise ConfigError(
            PATH, path, "is stored in Fortran order, so it cannot be mapped",
            "numpy.save(path, numpy.ascontiguousarray(x)) stores rows; or dataset.in_memory=true",
        )  # fmt: skip
    return array
