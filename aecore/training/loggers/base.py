"""What every logger of a run promises, and what loggers of other projects need."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from pytorch_lightning.loggers.logger import Logger
from torch import Tensor

from aecore.config.folders import installing
from aecore.errors import UserError

FLUSH_SECONDS = 20  # what a killed run may lose
BINS = 64  # of a histogram


class RunLogger(Logger):
    """A logger that writes into a run folder, or keeps there what it needs to go on.

    folder: the run folder.
    purge_step: the first step that a resumed run writes again: what an earlier try wrote from
        there on no longer counts. None for a new run.

    Lightning calls `finalize` when training ends. The run then is measured, `results` told, and
    `finalize` called again; a run that fails on the way has its `finalize("failed")` as well.
    """

    takes_pictures: ClassVar[bool] = False
    """Whether pictures of the training are worth drawing."""

    def __init__(self, folder: Path, purge_step: int | None) -> None:
        super().__init__()
        self.folder = folder
        self._purge_step = purge_step

    @property
    def name(self) -> str:
        """Empty: the run folder has the name."""
        return ""

    @property
    def version(self) -> str:
        """Empty: a run folder holds one run."""
        return ""

    @property
    def save_dir(self) -> str:
        """The run folder."""
        return str(self.folder)

    def check(self) -> None:
        """Raise UserError where it cannot be used; asked before the run has a folder."""

    def looks(self, output_dir: str) -> list[tuple[str, str]]:
        """How to look at what was written: what it is called, and a command.

        output_dir: the folder in which runs lie.
        """
        return []

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing of Lightning's: see `hparams`."""

    def hparams(self, parameters: Mapping[str, object]) -> None:
        """Take note of the hyperparameters, once, before training."""

    def image(self, tag: str, grid: Tensor, step: int) -> None:
        """Take one picture (1|3, H, W), pixels in [0, 1]."""

    def histogram(self, tag: str, values: Tensor, step: int) -> None:
        """Take the distribution of values of any shape."""

    def embedding(
        self, codes: Tensor, labels: list[str] | None, images: Tensor | None, step: int
    ) -> None:
        """Take codes (N, D) to look at, with N class names and images (N, C, H, W) if there are."""

    def results(self, metrics: Mapping[str, float]) -> None:
        """Take note of the metrics of the finished run, such as `test/mse`."""


def need(word: str, package: str) -> None:
    """Raise UserError where a logger's package is not installed; its extra is called as it is."""
    found = find_spec(package)
    if found is None or found.origin is None:  # a mere folder of that name is no package
        raise UserError(f"logger={word}: not installed\n  {installing(word)} brings it")


def pixels(grid: Tensor) -> np.ndarray:
    """A picture (1|3, H, W) in [0, 1] as bytes, (H, W) or (H, W, 3)."""
    scaled = grid.detach().float().cpu().clamp(0, 1).mul(255).round().to(torch.uint8)
    return np.asarray(scaled[0] if len(scaled) == 1 else scaled.permute(1, 2, 0))


@contextmanager
def recording(loggers: Sequence[RunLogger]) -> Iterator[None]:
    """Have loggers end a run that fails meanwhile."""
    try:
        yield
    except BaseException:
        for logger in loggers:
            logger.finalize("failed")
        raise


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Environment variables that are set for a while, unless the user has set them."""
    ours = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)
