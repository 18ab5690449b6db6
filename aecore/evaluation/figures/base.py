"""The base class of figures, of one run or several."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from matplotlib.figure import Figure

from aecore.config.component import Component
from aecore.evaluation.figures.animation import Animation
from aecore.evaluation.trial import Trial


class TrialFigure(Component, ABC):
    """A figure of a trained model: a pure function of a trial, drawn without gradients."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in {"__call__", "draw_runs"} & vars(cls).keys():
            setattr(cls, name, torch.no_grad()(vars(cls)[name]))

    @abstractmethod
    def __call__(self, trial: Trial) -> Figure | Animation:
        """Draw; raises SkippedError with a reason if the figure does not apply."""

    def draw_runs(self, trials: Mapping[str, Trial]) -> Figure | None:
        """Draw several runs, by their names, in one figure; None for tiling.

        Tiling places the figures of the runs side by side. Override this if a common scale or plot
        is better. Trials may be opened on first access, so access only those that are needed.
        Raises SkippedError if these runs cannot be drawn in one figure.
        """
        return None
