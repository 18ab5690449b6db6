"""The most anomalous of many images, their reconstructions, and where these differ."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from torch import Tensor

from aecore.evaluation.figures.grid import block_grid, shortened
from aecore.evaluation.figures.reconstructions import line_grid
from aecore.evaluation.figures.scale import Scale
from aecore.model.autoencoder import Autoencoder
from aecore.types import is_series

_LETTERS = 13  # of a name above a line


def top_anomalies(
    x: Tensor,
    output: Tensor,
    errors: Tensor,
    scores: Tensor,
    names: Sequence[str],
    columns: int,
    title: str,
    masks: Tensor | None = None,
) -> Figure:
    """Images (N, C, H, W) with their names, above their reconstructions with their scores (N,).

    Below these, the squared errors (N, 1, H, W) on one scale of colours, and the masks of the
    anomalous pixels, bool of that shape, where they are known. In the given order, block by block;
    what does not fill a last block is left out. Series are drawn as lines, without errors.
    """
    scored = [f"{score:#.4g}" for score in scores.tolist()]
    kinds = {"image": (x, names), "reconstruction": (output, scored)}
    if is_series(x.shape[1:]):
        return block_grid(kinds, columns, title)
    scale = Scale.of(errors, "squared error")
    kinds["squared error"] = scale.colours(errors[:, 0]), []
    if masks is not None:
        kinds["anomalous pixels"] = masks.float(), []
    return block_grid(kinds, columns, title, scale)


def top_rows(
    model: Autoencoder,
    x: Tensor,
    output: Tensor,
    scores: Tensor,
    names: Sequence[str],
    columns: int,
    title: str,
    features: Sequence[str] | None = None,
) -> Figure:
    """Rows of a table (N, 1, 1, D) and their reconstructions as lines, below name and score (N,).

    features: the names of its D columns.
    """
    pairs = zip(names, scores.tolist(), strict=True)
    heads = [f"row {shortened(name, _LETTERS)}: {score:#.4g}" for name, score in pairs]
    return line_grid(model, x, output, x, heads, columns, title, features)
