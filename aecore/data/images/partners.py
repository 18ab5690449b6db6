"""The targets of images: the files of equal names in another folder."""

from __future__ import annotations

import os
from pathlib import Path

from aecore.data.images.files import Files, images_under, shown
from aecore.errors import ConfigError

_KEY = "dataset.targets"


def partners(files: Files, root: Path, targets: Path) -> Files:
    """The files below `targets` that have the names of some below `root`, in their order.

    A name is a path without its extension. Raises ConfigError, with a name, unless every image
    below the folder of `files` has a partner and every partner an image.
    """
    folder = targets / files.root.relative_to(root)
    if not folder.is_dir():
        hint = "give the folder that holds an image of the same name for each"
        raise ConfigError(_KEY, shown(folder), "there is no such folder", hint)
    found = images_under(folder)
    images, others = (_by_name(part) for part in (images_under(files.root), found))
    for missing in sorted(images.keys() - others.keys()):
        raise ConfigError(_KEY, shown(folder), f"no target is named like {shown(images[missing])}")
    for extra in sorted(others.keys() - images.keys()):
        raise ConfigError(_KEY, shown(folder), f"{shown(others[extra])} is of no image")
    return Files(folder, [others[_name(file)] for file in files.names], found.left_out)


def _by_name(files: Files) -> dict[str, str]:
    named: dict[str, str] = {}
    for file in files.names:
        first = named.setdefault(_name(file), file)
        if first != file:
            problem = f"{shown(first)} and {shown(file)} have the same name"
            raise ConfigError(_KEY, shown(files.root), problem, "rename one of them")
    return named


def _name(file: str) -> str:
    return os.path.splitext(file)[0]
