"""Losses and weights that are no longer finite end a training."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from aecore.errors import NonFiniteError

_SMALLER_STEPS = "try a smaller learning rate, trainer.gradient_clip=1 or a smaller weight"


def check_finite(values: np.ndarray, names: list[str], first_step: int) -> None:
    """Raise NonFiniteError at the first bad step of (steps, terms); it names step and term."""
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(bad.any(1).argmax())
        wrong = [name for name, b in zip(names, bad[row], strict=True) if b]
        culprit = next((n for n in wrong if not n.endswith("loss")), wrong[0])
        value = "NaN" if math.isnan(values[row, names.index(culprit)]) else "infinite"
        raise NonFiniteError(
            f"{culprit} became {value} at step {first_step + row + 1}\n  {_SMALLER_STEPS}"
        )


def check_weights(parameters: Iterable[Tensor], step: int) -> None:
    """Raise NonFiniteError if the weights after this step are not finite."""
    if not bool(torch.stack([p.detach().isfinite().all() for p in parameters]).all()):
        raise NonFiniteError(
            f"the weights became NaN or infinite at step {step}\n  {_SMALLER_STEPS}"
        )
