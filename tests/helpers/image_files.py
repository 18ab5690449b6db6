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
