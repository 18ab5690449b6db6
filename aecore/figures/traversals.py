"""What a single dimension of the code does to an image."""

from __future__ import annotations

from typing import Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor

from aecore.figures.dimensions import Dimensions, dimensions
from aecore.figures.grid import image_grid
from aecore.figures.interpolations import repeated
from aecore.figures.view import Picture, View, need_decoder, need_images, spread
from aecore.words import PositiveFloat, PositiveInt, word


class Traversals(Picture):
    """Decoded codes of which one dimension moves, a row for each.

    dims: rows, at most, the dimensions that say most first: by their mean KL to the prior where
        each has one, else by their variance over the test images.
    steps: columns. reach: how far a dimension goes to either side, in standard deviations: of the
        prior N(0, 1) where it has a KL to it, else of the test images' codes around their mean.
        Where this leaves what codes there are (a sphere, a book of words), the nearest is decoded.
    start: what the other dimensions are: those of a test 'image', or 'zero'. A conditional model
        is told the class of that image in both cases.
    """

    @word
    def __init__(
        self,
        *,
        dims: PositiveInt,
        steps: PositiveInt,
        reach: PositiveFloat,
        start: Literal["image", "zero"],
    ) -> None:
        self.dims = dims
        self.steps = steps
        self.reach = reach
        self.start = start

    @torch.no_grad()
    def __call__(self, view: View) -> Figure:
        """Draw; raises NotApplicable for tables and networks that decode no codes alone."""
        need_images(view)
        need_decoder(view)
        found = dimensions(view)
        code = torch.zeros_like(found.codes[0])
        chosen = spread(view.labels, len(view.images), 1, view.generator())
        if self.start == "image":
            code = found.codes[chosen[0]]
        image, label = view.at(chosen)
        context = repeated(view.model.encode(image, y=label).context, 0, self.steps)
        shares = torch.linspace(-self.reach, self.reach, self.steps)
        rows, labels = [], []
        for d in found.order[: self.dims].tolist():
            codes = moved(code, d, shares if found.has_kl else _values(found, d, shares))
            z = codes.reshape(-1, *view.model.code_shape).to(view.images)
            rows.append(view.model.decode(view.model.latent.nearest(z), context))
            labels.append(f"z{d + 1}  {found.score[d].item():.3g}")
        unit = "of the prior" if found.has_kl else "of the codes"
        return image_grid(
            rows,
            title=f"One dimension of {len(code)} at a time, with its {found.kind}, "
            f"in standard deviations {unit}",
            labels=labels,
            heads=[f"{round(share, 2) + 0.0:g}" for share in shares.tolist()],
        )


def _values(found: Dimensions, d: int, shares: Tensor) -> Tensor:
    column = found.codes[:, d]
    return column.mean() + shares * column.std(correction=0)


def moved(code: Tensor, d: int, values: Tensor) -> Tensor:
    """Copies of a code (D,) with these values (T,) in dimension d: (T, D)."""
    codes = code.repeat(len(values), 1)
    codes[:, d] = values
    return codes
