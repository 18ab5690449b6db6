"""Training that leaves checkpoints and a history, and the reading of them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from making import data, fit
from pytorch_lightning import Callback
from stepping import X

from aecore.autoencoder import Autoencoder
from aecore.callbacks.checkpoint import LAST, Checkpoints
from aecore.callbacks.history import History
from aecore.data import ImageData
from aecore.module import Training
from aecore.optimizers import Schedule


def checkpointed(
    whole: Autoencoder,
    folder: Path,
    epochs: int,
    *,
    module: ImageData | None = None,
    resume: bool = False,
    callbacks: tuple[Callback, ...] = (),
    schedule: Schedule | None = None,
    **options: Any,
) -> Training:
    """A run with checkpoints and a history in the folder."""
    history = History(folder / "history.csv")
    return fit(
        whole,
        data(X, val_size=10) if module is None else module,
        epochs=epochs,
        schedule=schedule,
        callbacks=[history, Checkpoints(folder), *callbacks],
        ckpt_path=folder / LAST if resume else None,
        **options,
    )


def read(folder: Path) -> list[dict[str, str]]:
    """The rows of a run's history."""
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))
