"""Functions shared by tasks that decode codes near those of images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from aecore.data.split import Split
from aecore.errors import UserError, nearest
from aecore.tasks.use import Opened
from aecore.types import is_table

Which = int | str  # an image of a split: its number from 0, or its file name


def need_pictures(opened: Opened, task: str) -> None:
    """Raise UserError for tables, and for networks that need the context of an image."""
    if opened.ae.model.needs_context:
        raise UserError(
            f"task={task}: this network decodes only the codes of images: its unpooling needs the "
            "positions of their maxima",
            "use a model with another network, such as network=conv",
        )
    if is_table(opened.ae.image_shape):
        raise UserError(
            f"task={task}: the rows of a table have no picture",
            "in Python ae.encode and ae.decode do it: ae = aecore.load(...)",
        )


def places(wanted: Sequence[Which], opened: Opened, split: Split, key: str) -> list[int]:
    """Where these images are in the split; `key` is what named them, for messages.

    A file is known by its path below the data set, or by its last part where that is unique.
    Raises UserError where there is no such image.
    """
    more = "" if opened.which("test") == "all" else "; split=all takes every one"
    return [_place(one, split, f"{key}={one}", more) for one in wanted]


def _place(one: Which, split: Split, key: str, more: str) -> int:
    last = len(split) - 1
    if isinstance(one, int):
        if not 0 <= one <= last:
            raise UserError(f"{key}: these images are numbered from 0 to {last}")
        return one
    if split.names is None:
        raise UserError(f"{key}: these images have no names, only numbers from 0 to {last}")
    if one in split.names:
        return split.names.index(one)
    matches = [n for n, name in enumerate(split.names) if PurePath(name).name == one]
    if len(matches) == 1:
        return matches[0]
    if matches:
        first, second, *_ = (split.names[n] for n in matches)
        raise UserError(f"{key}: several images are called so", f"{first} and {second}, say")
    raise UserError(
        f"{key}: no such image in this split{nearest(one, split.names)}",
        f"it has {split.names[0]} ... {split.names[-1]}{more}",
    )
