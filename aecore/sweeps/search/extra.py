"""The extra that a search needs. Every other module of this package imports Optuna."""

from __future__ import annotations

from aecore.config.folders import need_package


def check_optuna() -> None:
    """Raise UserError where Optuna is not installed."""
    need_package("optuna", "hydra/sweeper=optuna: Optuna is not installed")
