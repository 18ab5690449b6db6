"""`task=traverse`: what each dimension of the code does to an image."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field

from aecore.config.component import NonNegativeInt, PositiveFloat, PositiveInt
from aecore.config.terminal import say
from aecore.errors import UserError
from aecore.evaluation.figures.animation import there_and_back
from aecore.evaluation.figures.dimensions import dimensions
from aecore.evaluation.figures.draw import save
from aecore.evaluation.figures.traversals import traversal, traversal_grid
from aecore.tasks.pictured import need_pictures, places
from aecore.tasks.use import Opened, Use

_SIDE, _DURATION = 84, 120  # side of an animated image in pixels; milliseconds per frame
_MEAN = "mean"


class Traverse(Use):
    """Writes traversals.png, a row for each dimension, and traversals.gif, where all move at once.

    One dimension of the code moves, the others stay; those that say most come first: by their mean
    KL to the prior over the images where each has one, else by their variance. Where that leaves
    what codes there are (a sphere), the nearest is decoded.

    span: how far to either side, in standard deviations: of the prior N(0, 1) where dimensions
    have a KL to it, else of the images' codes around their mean. steps: from end to end.
    dims: dimensions shown, at most. image: whose code the other dimensions stay at, by number or
    file name in the split; 'mean' for the mean of all codes. A class-conditional model is given the
    class of that image; with the mean that of the first image.
    """

    takes = ("dataset", "split", "resize")

    span: PositiveFloat
    steps: Annotated[int, Field(ge=2)]
    dims: PositiveInt
    image: NonNegativeInt | str

    def use(self, opened: Opened) -> dict[str, float]:
        """Around a test image by default."""
        need_pictures(opened, "traverse")
        model = opened.ae.model
        if model.latent.codebook_size is not None:
            raise UserError(
                "task=traverse: this model's codes are discrete, so no dimension can vary alone",
                "task=interpolate goes from one image to another",
            )
        split = opened.images()
        around_mean = self.image == _MEAN
        (place,) = places([0 if around_mean else self.image], opened, split, "traverse.image")
        trial = opened.trial(split)
        measured = dimensions(trial)
        if not measured.has_kl and len(split) < 2:
            raise UserError(
                "task=traverse: one image has no variance to say how far to go",
                "take more of them, such as the run's own",
            )
        code = measured.codes.mean(0) if around_mean else measured.codes[place]
        image, label = trial.at(torch.tensor([place])).tensors()
        context = model.encode(image, y=label).context
        shares = torch.linspace(-self.span, self.span, self.steps)
        rows = traversal(model, measured, code, context, shares, self.dims)
        name = opened.named(split)[place]
        where = "the mean code" if around_mean else f"image {name}"
        if model.classes is not None:
            where += (
                f", conditional on the class of image {name}"
                if around_mean
                else ", conditional on its class"
            )
        grid = traversal_grid(rows, measured, shares, f" around {where}")
        save(grid, opened.folder, "traversals")
        pages = torch.stack(rows, 1)
        columns = math.ceil(math.sqrt(len(rows)))
        moving = there_and_back(pages, columns=columns, side=_SIDE, duration=_DURATION)
        save(moving, opened.folder, "traversals")
        say(
            f"{len(rows)} of {len(code)} dimensions around {where}, by their {measured.kind} over "
            f"{opened.describe(split)}"
        )
        say(f"picture  {opened.folder / 'traversals.png'}, a row for each")
        say(f"moving   {opened.folder / 'traversals.gif'}, in the same order row by row")
        return {}
