"""Image files below a folder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePath

from aecore.errors import ConfigError

# Formats of Pillow that may be opened. Others, such as EPS, start programs or are no images.
FORMATS = ("PNG", "JPEG", "TIFF", "GIF", "BMP", "DIB", "WEBP", "AVIF", "JPEG2000", "PPM")
_SEVERAL_PAGES = (".tif", ".tiff", ".gif", ".webp", ".avif", ".avifs", ".apng")
# Hidden folders, and those that macOS, Windows and network drives add.
_NOT_DATA = (".", "__MACOSX", "@eaDir", "@Recycle", "#recycle", "$RECYCLE.BIN")


@dataclass(frozen=True, slots=True, eq=False)
class Files:
    """Files below a folder, by their names: a path each would take far more memory.

    left_out: how many files of other kinds there are, by their extension.
    """

    root: Path
    names: Sequence[str]
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many."""
        return len(self.names)

    def __getitem__(self, i: int) -> Path:
        """The path of one."""
        return self.root / self.names[i]

    def __iter__(self) -> Iterator[Path]:
        """Their paths, in order."""
        return (self.root / name for name in self.names)

    def at(self, which: Iterable[int]) -> Files:
        """Some of them."""
        return Files(self.root, [self.names[i] for i in which])


def shown(path: PurePath | str) -> str:
    """A path that can always be printed, whatever bytes the file system holds."""
    return os.fsencode(path).decode(errors="replace")


def _refuse(error: OSError) -> None:
    """A folder that cannot be listed must not make its images vanish silently."""
    where = shown(str(error.filename))
    raise ConfigError("dataset.root", ..., f"{where} cannot be read: {error.strerror}") from error


@cache
def extensions() -> frozenset[str]:
    """The extensions of the image files that are opened, in lower case."""
    from PIL import Image  # slow

    return frozenset(e for e, kind in Image.registered_extensions().items() if kind in FORMATS)


def may_have_pages(name: str) -> bool:
    """Whether a file of that name may hold several images."""
    return os.path.splitext(name)[1].lower() in _SEVERAL_PAGES


def is_data(folder: str) -> bool:
    """Whether a folder of that name may hold images of the user, not files of the system."""
    return not folder.startswith(_NOT_DATA)


def images_under(root: Path) -> Files:
    """Image files at any depth, sorted by their path, without hidden files and system folders."""
    names: list[str] = []
    left_out: Counter[str] = Counter()
    seen: set[str] = set()  # folders by their real path: links may lead in a circle
    for folder, below, files in os.walk(root, onerror=_refuse, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            below.clear()
            continue
        seen.add(real)
        below[:] = [name for name in below if is_data(name)]
        here = os.path.relpath(folder, root)
        for name in files:
            extension = os.path.splitext(name)[1].lower()
            if name.startswith("."):
                continue
            if extension in extensions():
                names.append(name if here == os.curdir else os.path.join(here, name))
            else:
                left_out[extension or name] += 1
    # Folder by folder: no name holds a NUL, which is less than all that it may hold.
    names.sort(key=lambda name: name.replace(os.sep, "\0"))
    return Files(root, names, left_out)
