"""The order of axes in an array of images, and the same images as (N, C, H, W)."""

from __future__ import annotations

from typing import Literal

import numpy as np

from aecore.errors import ConfigError

Layout = Literal["auto", "ND", "NHW", "NCHW", "NHWC", "NCT", "NTC"]

_LAST = (1, 3, 4)  # of channels that come last, as Pillow and matplotlib have them
_AXES: dict[str, tuple[int, ...]] = {  # of each layout, in the order N, C, H, W; -1: a new axis
    "ND": (0, -1, -1, 1),
    "NHW": (0, -1, 1, 2),
    "NCHW": (0, 1, 2, 3),
    "NHWC": (0, 3, 1, 2),
    "NCT": (0, 1, -1, 2),
    "NTC": (0, 2, -1, 1),
}


def layout_of(shape: tuple[int, ...]) -> str | None:
    """The layout that `auto` takes for an array of that shape, None where there is none.

    Two axes are a table; three are grey images; of four, the last holds the channels if it has 1,
    3 or 4 entries, else the second does.
    """
    match shape:
        case (_, _):
            return "ND"
        case (_, _, _):
            return "NHW"
        case (_, _, _, last):
            return "NHWC" if last in _LAST else "NCHW"
    return None


def as_nchw(array: np.ndarray, layout: Layout, where: str) -> np.ndarray:
    """An array of images as (N, C, H, W), a view of it; series of length T become (N, C, 1, T).

    where: names the array in messages. Raises ConfigError for a shape that has not these axes.
    """
    name = layout_of(array.shape) if layout == "auto" else layout
    if name is None or array.ndim != len(name):
        problem = f"{where} has the shape {array.shape}"
        known = "(N, D) a table, (N, H, W), (N, H, W, C), (N, C, H, W), (N, C, T), (N, T, C)"
        one = "one series? cut it into rows: numpy.lib.stride_tricks.sliding_window_view(x, LENGTH)"
        raise ConfigError("dataset.layout", layout, problem,
                          one if array.ndim == 1 else f"known: {known}")  # fmt: skip
    axes = _AXES[name]
    present = array.transpose([axis for axis in axes if axis >= 0])
    new = tuple(place for place, axis in enumerate(axes) if axis < 0)
    return np.expand_dims(present, new)
