"""Folders of small image files, and the source that reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aecore.data.sources.image_folder import ImageFolder


def save(path: Path, pixels: np.ndarray, mode: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(path)


def folder(root: object, **changes: Any) -> ImageFolder:
    values: dict[str, Any] = {
        "image_size": 4,
        "channels": "auto",
        "skip_broken": False,
        "test_fraction": 0.25,
    }
    return ImageFolder(root=None if root is None else str(root), **(values | changes))


def grey(level: int, height: int = 4, width: int = 4) -> np.ndarray:
    return np.full((height, width), level, np.uint8)


def mvtec(root: Path, height: int = 8, width: int = 8) -> Path:
    """The layout of MVTec AD: grey images, four for training, and for testing two good ones and

    two with a crack, which is white and marked by its mask.
    """
    for n in range(4):
        save(root / f"train/good/{n:03}.png", grey(100 + n, height, width))
    for n in range(2):
        save(root / f"test/good/{n:03}.png", grey(100, height, width))
        image, mask = grey(100, height, width), grey(0, height, width)
        image[2:4, 2 + n : 5 + n] = mask[2:4, 2 + n : 5 + n] = 255
        save(root / f"test/crack/{n:03}.png", image)
        save(root / f"ground_truth/crack/{n:03}_mask.png", mask)
    return root
