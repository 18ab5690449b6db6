"""The extra that a search needs. Every other module of this package imports Optuna."""

from __future__ import annotations

from importlib.util import find_spec

from aecore.config.folders import installing
from aecore.errors import UserError


def check_optuna() -> None:
    """Raise UserError where Optuna is not installed."""
    spec = find_spec("optuna")
    if spec is None or spec.origin is None:  # a mere folder of that name is no package
        raise UserError(
            "hydra/sweeper=optuna: Optuna is not installed", f"{installing('optuna')} brings it"
        )
