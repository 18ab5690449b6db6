"""Rotated images."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor
from torch.nn.functional import affine_grid, grid_sample
from typing_extensions import override

from aecore.data.augmentations.base import Augmentation, Padding, draw_uniform

_MODES = {"constant": "zeros", "edge": "border", "reflect": "reflection"}  # names of grid_sample


class Rotate(Augmentation):
    """Rotated about the centre, by bilinear interpolation.

    degrees: the angle is uniform between -degrees and degrees.
    padding: what turns in from outside, 0, the border or the mirror image.
    """

    degrees: Annotated[float, Field(gt=0, le=180)]
    padding: Padding
    interpolates = True

    @override
    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        height, width = x.shape[2:]
        angle = torch.deg2rad(draw_uniform(x, generator, -self.degrees, self.degrees))
        cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
        # from places in the rotated image to places in x, both with sides from -1 to 1
        rows = [cos, -sin * (height / width), zero], [sin * (width / height), cos, zero]
        map_back = torch.stack([torch.stack(row, 1) for row in rows], 1)
        grid = affine_grid(map_back, [*x.shape], align_corners=False)
        return grid_sample(x, grid, "bilinear", _MODES[self.padding], align_corners=False)
