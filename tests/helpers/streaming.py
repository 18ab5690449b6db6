"""A folder of images as it is loaded; other processes import it from here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aecore.data.sources.image_folder import ImageFolder
from aecore.data.split import Split, Which

SIZE = 6  # pixels a side


def load(root: Path, in_memory: Any, which: Which = "train", **changes: Any) -> Split:
    """A split of the folder; its cache lies beside it."""
    values: dict[str, Any] = {"channels": "auto", "skip_broken": False, "test_fraction": 0.25}
    options = values | {"image_size": SIZE, "in_memory": in_memory} | changes
    return ImageFolder(root=str(root), **options).load(which, root.parent / "data")
