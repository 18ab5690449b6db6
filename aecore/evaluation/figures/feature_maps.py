"""The feature maps of the first convolution."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import nn

from aecore.config.component import PositiveInt
from aecore.errors import SkippedError
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.grid import image_grid
from aecore.evaluation.figures.heat import centred, enlarged
from aecore.evaluation.figures.scale import Scale
from aecore.evaluation.selection import first_of_each_class
from aecore.evaluation.trial import Trial, need_images
from aecore.model.layers import layers


class FeatureMaps(TrialFigure):
    """A few test images, each beside the first convolution's maps of it, after the activation.

    images: rows. maps: the first so many filters, at most. All share one colour scale.
    """

    images: PositiveInt
    maps: PositiveInt

    def __call__(self, trial: Trial) -> Figure:
        """Draw; raises SkippedError where the encoder has no convolution."""
        need_images(trial)
        chosen = first_of_each_class(trial.images.labels, len(trial), self.images)
        x, y = trial.at(chosen).tensors()
        outputs = [
            layer.output
            for layer in layers(trial.model, x, y)
            if layer.side == "encoder" and isinstance(layer.module, nn.Conv2d)
        ]
        if not outputs:
            raise SkippedError("the encoder has no convolution")
        maps = outputs[0][:, : self.maps].float().cpu()
        scale = Scale.of(maps, "activation")
        side = max(enlarged(x[:1]).shape[2:])
        rows = [
            torch.cat([centred(image[None], side), centred(scale.colours(row), side)])
            for image, row in zip(x, maps, strict=True)
        ]
        total = outputs[0].shape[1]
        several = f"{maps.shape[1]} of " if maps.shape[1] < total else ""
        return image_grid(
            rows,
            title=f"Feature maps of the first convolution: {several}{total} maps",
            heads=["image", *(str(n + 1) for n in range(maps.shape[1]))],
            scale=scale,
        )
