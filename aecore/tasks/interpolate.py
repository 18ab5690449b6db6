"""`task=interpolate`: images that turn into one another."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Literal

import torch
from matplotlib.figure import Figure
from pydantic import Field
from torch import Generator, Tensor

from aecore.config.component import NonNegativeInt, PositiveInt, Seed
from aecore.config.terminal import say
from aecore.data.split import Split
from aecore.errors import ConfigError, UserError
from aecore.evaluation.figures.animation import there_and_back
from aecore.evaluation.figures.draw import save
from aecore.evaluation.figures.grid import image_grid
from aecore.evaluation.figures.interpolations import (
    between,
    blend,
    class_note,
    heads,
    slerp,
    with_ends,
)
from aecore.evaluation.selection import balanced
from aecore.tasks.pictured import need_pictures, places
from aecore.tasks.use import Opened, Use

_SIDE, _DURATION = 112, 100  # side of an animated image in pixels; milliseconds per frame
_PICTURE = "interpolations"
_NAMED = 6  # pairs whose images are named in the terminal, at most
_PATHS: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {"linear": blend, "spherical": slerp}


class Interpolate(Use):
    """Writes interpolations.png, and linear.gif and spherical.gif, where pairs turn and return.

    Decoded codes between the mean codes of two images, on the straight line or the arc; where that
    is no valid code (on a sphere, of a codebook), the nearest code. A conditional model
    is given the class of the first image throughout.

    images: of each pair the first and the second, by number or file name in the split; None for
    random ones, `pairs` of them, of different classes where these are known. steps: decoded images
    from code to code, both ends included. path: 'linear', 'spherical' or 'both'. seed: of the
    choice of random pairs.
    """

    takes = ("dataset", "split", "resize")

    images: list[NonNegativeInt | str] | None
    pairs: PositiveInt
    steps: Annotated[int, Field(ge=2)]
    path: Literal["linear", "spherical", "both"]
    seed: Seed

    def __post_init__(self) -> None:
        """Raise UserError for images that are no pairs."""
        if self.images is not None and (not self.images or len(self.images) % 2):
            problem, hint = "each pair has two images", "give an even number of them"
            raise ConfigError("interpolate.images", self.images, problem, hint)

    def use(self, opened: Opened) -> dict[str, float]:
        """Between test images by default."""
        need_pictures(opened, "interpolate")
        split = opened.images()
        chosen = self._chosen(opened, split)
        images, y = opened.trial(split).at(torch.tensor(chosen)).tensors()
        ways = {
            path: between(opened.ae.model, images, y, self.steps, line).cpu()
            for path, line in _PATHS.items()
            if self.path in (path, "both")
        }
        save(self._figure(images.cpu(), ways, class_note(opened.ae.model)), opened.folder, _PICTURE)
        columns = math.ceil(math.sqrt(len(chosen) // 2))
        for path, way in ways.items():
            pages = way.transpose(0, 1)
            moving = there_and_back(pages, columns=columns, side=_SIDE, duration=_DURATION)
            save(moving, opened.folder, path)
        ids = opened.named(split)
        pairs = [f"{ids[a]} and {ids[b]}" for a, b in zip(chosen[::2], chosen[1::2], strict=True)]
        more = f" and {len(pairs) - _NAMED:,} more pairs" if len(pairs) > _NAMED else ""
        say(f"between {', '.join(pairs[:_NAMED])}{more} of {opened.describe(split)}")
        say(f"picture  {opened.folder / _PICTURE}.png")
        for path in ways:
            say(f"moving   {opened.folder / path}.gif")
        return {}

    def _figure(self, images: Tensor, ways: dict[str, Tensor], suffix: str) -> Figure:
        """Each way between its images (2 * pairs, C, H, W), a block for each pair."""
        rows = torch.stack([with_ends(images, way) for way in ways.values()], dim=1).flatten(0, 1)
        labels = [*ways] * (len(images) // 2)
        several = len(ways) > 1
        kind = "Interpolations" if several else f"{labels[0].capitalize()} interpolations"
        return image_grid(
            [*rows],
            title=f"{kind} between the codes of two images{suffix}",
            labels=labels if several else (),
            heads=heads(self.steps),
            framed=(0, self.steps + 1),
            gaps=range(1, len(rows), 2) if several else (),
        )

    def _chosen(self, opened: Opened, split: Split) -> list[int]:
        if self.images is not None:
            return places(self.images, opened, split, "interpolate.images")
        if len(split) < 2:
            raise UserError("task=interpolate: it takes two images at least, and there is one")
        count = 2 * min(self.pairs, len(split) // 2)
        generator = Generator().manual_seed(self.seed)
        return balanced(split.labels, len(split), count, generator).tolist()
