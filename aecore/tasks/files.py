"""Files of tasks: one per image, or a row of a table."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from aecore.data.images.files import extensions
from aecore.evaluation.figures.draw import save_image
from aecore.runs.files import make_folder, replacing, write_atomically

_UNSAFE = re.compile(r'[\x00-\x1f\x7f:*?"<>|]')  # what some file systems do not allow
_BYTES, _DEPTH = 150, 16  # of a name, and folders above it: less than file systems allow


def png_names(names: Sequence[str]) -> list[str]:
    """A path below a folder for the PNG of each image: its name with its sub-folders.

    Names may come from anywhere, so none leads out of the folder, and no two become one file, not
    on file systems either that take `A` for `a`: `a.jpg` beside `a.png` becomes `a.jpg.png`, and
    what is taken even so has -1, -2, ... behind it.
    """
    split = [_parts(name) for name in names]
    taken = {"/".join(parts[:n]).casefold() for parts in split for n in range(1, len(parts))}
    paths, counts = [""] * len(split), dict[str, int]()
    # those that are PNG already keep their names
    for i in sorted(range(len(split)), key=lambda i: not _is_png(split[i][-1])):
        *above, last = split[i]
        bare, dot, ending = last.rpartition(".")
        bare = bare if f"{dot}{ending}".lower() in extensions() else last
        path, stem = ("/".join([*above, text]) for text in (bare, bare if _is_png(last) else last))
        path = f"{path}.png"
        if path.casefold() in taken:
            path = f"{stem}.png"
        while path.casefold() in taken:
            counts[stem] = counts.get(stem, 0) + 1
            path = f"{stem}-{counts[stem]}.png"
        taken.add(path.casefold())
        paths[i] = path
    return paths


def _is_png(name: str) -> bool:
    return name.lower().endswith(".png")


def _parts(name: str) -> list[str]:
    """The folders and the file of a name, each safe; at least one."""
    kept = [part for part in re.split(r"[/\\]", name) if part.strip(". ")]
    safe = [_UNSAFE.sub("_", part).encode(errors="replace")[:_BYTES] for part in kept]
    return [part.decode(errors="ignore") for part in safe[-_DEPTH:]] or ["image"]


def write_rows(path: Path, columns: Mapping[str, Iterable[object]]) -> None:
    """Write a CSV file of columns, all of one length."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    write_atomically(path, text.getvalue().encode(errors="replace"))


def write_image(path: Path, image: Tensor) -> None:
    """Write an image (C, H, W) as PNG, in a folder that is made."""
    make_folder(path.parent)
    save_image(image, path)


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a compressed NPZ file, which is read without pickle."""
    with replacing(path) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def write_table(
    path: Path, values: Tensor, labels: Tensor | None, columns: Sequence[str] | None
) -> None:
    """Write rows of a table (N, D) or (N, 1, 1, D), or series (N, C, T), to an NPZ file.

    Rows are `x` (N, D), their labels `y`, the names of the D columns `columns`, where known.
    """
    arrays: dict[str, NDArray[Any]] = {
        "x": (values if values.dim() == 3 else values.flatten(1)).numpy()
    }
    if labels is not None:
        arrays["y"] = labels.cpu().numpy()
    if columns is not None:
        arrays["columns"] = np.array(columns)
    write_arrays(path, arrays)


def error_columns(columns: Sequence[str] | None, errors: Tensor) -> dict[str, list[str]]:
    """Columns `error_NAME` of the errors of each feature (N, D); none where these have no names."""
    named = () if columns is None else zip(columns, errors.T, strict=True)
    return {f"error_{name}": numbers(each) for name, each in named}


def numbers(values: Tensor) -> list[str]:
    """Values (N,) as text, with all digits that a float32 has."""
    return [f"{value:.9g}" for value in values.tolist()]
