"""What surrounds a task that computes: quiet libraries, figures of a format, scarce memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from aecore.errors import UserError
from aecore.evaluation.figures.draw import also_as
from aecore.training.trainer import quiet


@contextmanager
def computing(extension: str) -> Iterator[None]:
    """While a task computes; raises UserError where memory is short. extension: of its figures."""
    with quiet(), _memory(), also_as(extension):
        yield


@contextmanager
def _memory() -> Iterator[None]:
    """UserError where the memory of the machine or of its GPU does not suffice."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        on_cpu = "can't allocate memory" in str(error)  # torch has no class for it
        if not (on_cpu or isinstance(error, MemoryError | torch.OutOfMemoryError)):
            raise
        tried = re.search(r"allocate (\d[\d.]* \w+)", str(error))
        wanted = f" ({tried[1]} more were asked for)" if tried else ""
        raise UserError(
            f"there is not enough memory for this{wanted}",
            "take a smaller batch (dataset.batch_size) or model (latent.dim, network.hidden, ...)",
        ) from error
