"""The sizes of images in files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from aecore.config.component import PositiveInt
from aecore.types import ImageShape

ImageSize = PositiveInt | Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]


def height_width(size: int | list[int]) -> tuple[int, int]:
    """(H, W) of an image size that may be one number for a square."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def by_size(
    shapes: Iterable[ImageShape | None], default: tuple[int, int]
) -> dict[tuple[int, int], list[int]]:
    """The places of each size (H, W); those of None, which is broken, with the first size."""
    places_by_size: dict[tuple[int, int], list[int]] = {}
    for place, shape in enumerate(shapes):
        size = next(iter(places_by_size), default) if shape is None else shape[1:]
        places_by_size.setdefault(size, []).append(place)
    return places_by_size
