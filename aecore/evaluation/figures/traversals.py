"""Traversals: decoded codes of which a single dimension changes."""

from __future__ import annotations

from typing import Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor

from aecore.config.component import PositiveFloat, PositiveInt
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.dimensions import Dimensions, dimensions
from aecore.evaluation.figures.grid import image_grid
from aecore.evaluation.figures.interpolations import repeated
from aecore.evaluation.selection import balanced
from aecore.evaluation.trial import Trial, need_decoder, need_images
from aecore.model.autoencoder import Autoencoder


class Traversals(TrialFigure):
    """Decoded codes of which one dimension varies, a row for each.

    dims: maximum number of rows, the most informative dimensions first: by their mean KL to the
        prior if each has one, else by their variance over the test images.
    steps: columns. span: how far a dimension goes to either side, in standard deviations: of the
        prior N(0, 1) where it has a KL to it, else of the test images' codes around their mean.
        Points that are no valid code (on a sphere, of a codebook) are replaced by the nearest one.
    start: what the other dimensions are: those of a test 'image', or 'zero'. A conditional model
        is given the class of that image in both cases.
    """

    dims: PositiveInt
    steps: PositiveInt
    span: PositiveFloat
    start: Literal["image", "zero"]

    def __call__(self, trial: Trial) -> Figure:
        """Draw; raises SkippedError for tables and networks that decode no codes alone."""
        need_images(trial)
        need_decoder(trial)
        measured = dimensions(trial)
        code = torch.zeros_like(measured.codes[0])
        chosen = balanced(trial.images.labels, len(trial), 1, trial.generator())
        if self.start == "image":
            code = measured.codes[chosen[0]]
        image, label = trial.at(chosen).tensors()
        context = trial.model.encode(image, y=label).context
        shares = torch.linspace(-self.span, self.span, self.steps)
        rows = traversal(trial.model, measured, code, context, shares, self.dims)
        return traversal_grid(rows, measured, shares)


def traversal(
    model: Autoencoder,
    measured: Dimensions,
    code: Tensor,
    context: tuple[Tensor, ...],
    shares: Tensor,
    dims: int,
) -> list[Tensor]:
    """Images (T, C, H, W) of a code (D,) of which one dimension varies, for each of `dims`.

    The most informative dimensions first. context: of the code of one image.
    shares: (T,) how far, in standard deviations: of the prior where there is a KL to it, else of
    the codes, around their mean.
    """
    passing = repeated(context, 0, len(shares))
    rows = []
    for d in measured.order[:dims].tolist():
        codes = moved(code, d, shares if measured.has_kl else _values(measured, d, shares))
        z = codes.reshape(-1, *model.code_shape).to(model.like)
        rows.append(model.decode(model.latent.nearest(z), passing))
    return rows


def traversal_grid(
    rows: list[Tensor], measured: Dimensions, shares: Tensor, around: str = ""
) -> Figure:
    """The images that `traversal` decoded, a row for each dimension, with its score."""
    order, score = measured.order[: len(rows)].tolist(), measured.score
    unit = "of the prior" if measured.has_kl else "of the codes"
    return image_grid(
        rows,
        title=f"One dimension of {len(score)} at a time{around}, with its {measured.kind}, "
        f"in standard deviations {unit}",
        labels=[f"z{d + 1}  {score[d].item():.3g}" for d in order],
        heads=[f"{round(share, 2) + 0.0:g}" for share in shares.tolist()],
    )


def _values(measured: Dimensions, d: int, shares: Tensor) -> Tensor:
    column = measured.codes[:, d]
    return column.mean() + shares * column.std(correction=0)


def moved(code: Tensor, d: int, values: Tensor) -> Tensor:
    """Copies of a code (D,) with these values (T,) in dimension d: (T, D)."""
    codes = code.repeat(len(values), 1)
    codes[:, d] = values
    return codes
