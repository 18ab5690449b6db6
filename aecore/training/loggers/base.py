"""The base class of loggers, and shared functions."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from hydra.core.utils import env_override
from pytorch_lightning.loggers.logger import Logger
from torch import Tensor

from aecore.config.folders import need_package

FLUSH_SECONDS = 20  # data that a killed run may lose
BINS = 64  # of a histogram


class RunLogger(Logger):
    """A logger that writes into a run folder, or keeps there what it needs to continue.

    extra: the extra that installs its package, which has the same name; None needs no extra.
    takes_images: whether it logs images, histograms and embeddings.
    secrets: values that it was given from the environment, by their keys (`logger.uri`); they are
        neither written to the run folder nor shown.

    folder: the run folder.
    purge_step: the first step that a resumed run logs again; what an earlier process logged from
        there on no longer counts. None for a new run.

    Only the leader of several processes has loggers. Lightning calls `finalize` when training ends.
    The run is then evaluated, `results` called, and
    `finalize` once more; a run that fails before that ends with `finalize("failed")`.
    Raises UserError where the extra is missing.
    """

    extra: ClassVar[str | None] = None
    takes_images: ClassVar[bool] = False
    secrets: Mapping[str, Any] = MappingProxyType({})
    name = version = ""  # the run folder has the name, and holds one run

    def __init__(self, folder: Path, purge_step: int | None) -> None:
        if self.extra is not None:
            need_package(self.extra, f"logger={self.extra}: not installed")
        super().__init__()
        self.folder = folder
        self._purge_step = purge_step

    def check(self) -> None:
        """Raise UserError if it cannot be used; called before the run folder is made."""

    def commands(self, output_dir: str) -> list[tuple[str, str]]:
        """Commands that show the logged run, each with a name.

        output_dir: the folder in which runs lie.
        """
        return []

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Ignore the call of Lightning; see `hparams`."""

    def hparams(self, parameters: Mapping[str, object]) -> None:
        """Log the hyperparameters, once, before training."""

    def image(self, tag: str, grid: Tensor, step: int) -> None:
        """Log one image (1|3, H, W), pixels in [0, 1]."""

    def histogram(self, tag: str, values: Tensor, step: int) -> None:
        """Log the distribution of values of any shape."""

    def embedding(
        self, codes: Tensor, labels: list[str] | None, images: Tensor | None, step: int
    ) -> None:
        """Log codes (N, D), with N class names and images (N, C, H, W) where there are any."""

    def results(self, metrics: Mapping[str, float]) -> None:
        """Log the metrics of the evaluated run, such as `test/mse`."""


def pixels(grid: Tensor) -> np.ndarray:
    """An image (1|3, H, W) in [0, 1] as bytes, (H, W) or (H, W, 3)."""
    scaled = grid.detach().float().cpu().clamp(0, 1).mul(255).round().to(torch.uint8)
    return np.asarray(scaled[0] if len(scaled) == 1 else scaled.permute(1, 2, 0))


def finite(values: Tensor) -> np.ndarray:
    """Those of some values of any shape that are finite, (N,) float32, for a histogram."""
    flat = values.detach().float().cpu().flatten()
    return flat[flat.isfinite()].numpy()


@contextmanager
def finalized_on_failure(loggers: Sequence[RunLogger]) -> Iterator[None]:
    """Finalize the loggers as failed where the body raises."""
    try:
        yield
    except BaseException:
        for logger in loggers:
            logger.finalize("failed")
        raise


def environment(**variables: str) -> AbstractContextManager[None]:
    """Set environment variables for a while, unless the user has set them."""
    return env_override({k: os.environ.get(k, value) for k, value in variables.items()})
