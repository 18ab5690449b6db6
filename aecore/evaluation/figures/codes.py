"""What codes look like."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

from aecore.config.component import NonNegativeFloat, PositiveInt, component
from aecore.errors import NotApplicable
from aecore.evaluation.figures.grid import image_grid
from aecore.evaluation.figures.heat import add_bar, arranged, centred, colours, enlarged, scale
from aecore.evaluation.figures.strip import fixed_choice
from aecore.evaluation.figures.view import Picture, View


class Codes(Picture):
    """Test images above their codes as little pictures, all on one colour scale.

    A vector is laid out row by row, nearly square; of a spatial code each channel is a map.
    The title says which share of the codes of all test images is active, |z| > threshold, and
    the mean of |z|.

    columns: images side by side.
    """

    @component
    def __init__(self, *, columns: PositiveInt, threshold: NonNegativeFloat) -> None:
        self.columns = columns
        self.threshold = threshold

    @torch.no_grad()
    def __call__(self, view: View) -> Figure:
        """Draw; the images of a table are left out. Raises NotApplicable for huge codes."""
        codes = view.codes(view.images, view.labels)
        if codes.shape[1] > 96 * 96:
            raise NotApplicable(f"a code of {codes.shape[1]} numbers is no little picture")
        chosen = fixed_choice(view.labels, len(view.images), self.columns)
        shown = codes[chosen].reshape(-1, *view.model.code_shape)
        limit, signed = scale(shown)
        pictures = torch.stack([arranged(code) for code in shown])
        coded = colours(pictures, limit, signed)
        if view.is_table:
            rows, labels = [centred(coded)], ["code"]
        else:
            images = enlarged(view.images[chosen.to(view.images.device)])
            side = max(images.shape[2:])
            rows, labels = [centred(images, side), centred(coded, side)], ["input", "code"]
        active = float((codes.abs() > self.threshold).float().mean())
        title = (
            f"Codes of {codes.shape[1]} numbers: {100 * active:.1f} % active "
            f"(|z| > {self.threshold:g}), mean |z| {codes.abs().mean():.3g}"
        )
        return add_bar(image_grid(rows, title=title, labels=labels), limit, signed)
