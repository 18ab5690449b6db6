"""Run folders to compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from aecore.runs.format import stamp

WORDS = {"model": "ae", "dataset": "digits", "penalty": "none", "latent": "deterministic"}
CONFIG: dict[str, Any] = {
    "seed": 0,
    "paths": {"output_dir": "outputs"},
    "dataset": {"_target_": "aecore.data.sources.digits.Digits", "batch_size": 64},
    "latent": {"_target_": "aecore.model.latents.deterministic.Deterministic", "dim": 2},
    "trainer": {"max_epochs": 3, "threads": 1},
}


def make(
    folder: Path,
    *,
    words: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    asked: list[str] | None = None,
    metrics: dict[str, float | None] | None = None,
    error: str | None = None,
) -> Path:
    """A run folder; `config` holds dotted keys, unfinished without metrics."""
    folder.mkdir(parents=True)
    whole = json.loads(json.dumps(CONFIG))
    for key, value in (config or {}).items():
        *parents, last = key.split(".")
        node = whole
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    choices = WORDS | (words or {})
    record = {**stamp(), "choices": choices, "overrides": asked or [], "revision": "abc"}
    (folder / "config.yaml").write_text(yaml.safe_dump(whole))
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "history.csv").write_text("epoch,train/loss\n1,3.0\n2,2.0\n")
    if metrics is not None:
        (folder / "metrics.json").write_text(json.dumps(metrics))
    if error is not None:
        (folder / "error.txt").write_text(error)
    return folder


def sweep(
    root: Path, dims: tuple[int, ...] = (2, 8), seeds: tuple[int, ...] = (0, 1, 2)
) -> list[Path]:
    """Finished runs over latent.dim and seed; mse = dim + seed^2, in validation the same."""
    pairs = [(dim, seed) for dim in dims for seed in seeds]
    return [
        make(
            root / str(n),
            config={"latent.dim": dim, "seed": seed},
            asked=[f"latent.dim={dim}", f"seed={seed}"],
            metrics={"val/mse": dim + seed**2, "test/mse": dim + seed**2, "test/psnr": -float(dim)},
        )
        for n, (dim, seed) in enumerate(pairs)
    ]


def png(folder: Path, name: str, size: tuple[int, int], noise: bool) -> None:
    (folder / "figures").mkdir(exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(pixels if noise else np.zeros_like(pixels))
    image.save(folder / "figures" / name)
