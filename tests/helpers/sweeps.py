"""Sweeps with figures, and looking for a picture in another."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aecore.cli import main

TINY = ["network.hidden=[8]", "logger=none", "trainer.threads=1", "trainer.max_epochs=2"]
NAMES = ["latent.dim=2", "latent.dim=3", "latent.dim=5"]
_FIGURES = "figures=[curves,reconstructions,kernels,robustness,latent,interpolation_gif]"


def sweep_of_three(folder: Path) -> Path:
    """Three code sizes on digits, in a folder of that name."""
    argv = ["-m", "model=ae", "latent.dim=2,3,5", *TINY, _FIGURES, "figures.robustness.levels=3"]
    assert main([*argv, f"hydra.sweep.dir={folder}"]) == 0
    return folder


def holds(page: np.ndarray, picture: np.ndarray) -> bool:
    """Whether a page (H, W, 3) shows a picture (h, w, 3) of random dots, each dot as it is."""
    height, width = picture.shape[:2]
    line = picture[-1, :6]  # few places look like these six dots
    inside = page[height - 1 :, : page.shape[1] - width + 1]
    windows = np.stack([np.roll(page, -n, axis=1) for n in range(6)], axis=2)
    found = (windows[height - 1 :, : inside.shape[1]] == line).all(axis=(2, 3))
    return any(
        (page[y : y + height, x : x + width] == picture).all() for y, x in np.argwhere(found)
    )
