"""Image files below a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from aecore.errors import ConfigError

EXTENSIONS = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
# Hidden folders, and those that macOS, Windows and network drives add.
_NOT_DATA = (".", "__MACOSX", "@eaDir", "@Recycle", "#recycle", "$RECYCLE.BIN")


@dataclass(frozen=True, slots=True, eq=False)
class Files:
    """Files below a folder, by their names: a path each would take far more memory."""

    root: Path
    names: Sequence[str]

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


def is_data(folder: str) -> bool:
    """Whether a folder of that name may hold images of the user, not files of the system."""
    return not folder.startswith(_NOT_DATA)


def images_under(root: Path) -> Files:
    """Image files at any depth, sorted by their path, without hidden files and system folders."""
    found: list[str] = []
    seen: set[str] = set()  # folders by their real path: links may lead in a circle
    for folder, below, files in os.walk(root, onerror=_refuse, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            below.clear()
            continue
        seen.add(real)
        below[:] = [name for name in below if is_data(name)]
        here = os.path.relpath(folder, root)
        found += [
            name if here == os.curdir else os.path.join(here, name)
            for name in files
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in EXTENSIONS
        ]
    # Folder by folder: no name holds a NUL, which is less than all that it may hold.
    found.sort(key=lambda name: name.replace(os.sep, "\0"))
    return Files(root, found)
