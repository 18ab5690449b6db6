"""Single images as files."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from aecore.evaluation.figures.grid import displayable
from aecore.runs.files import replacing


def save_image(image: Tensor, path: Path) -> None:
    """Write one image (C, H, W), pixels in [0, 1], as PNG of the same size: grey, RGB or RGBA."""
    pixels = (displayable(image) * 255).round().to(torch.uint8).movedim(0, -1)
    if pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    with replacing(path) as file:
        Image.fromarray(pixels.numpy()).save(file, format="PNG")
