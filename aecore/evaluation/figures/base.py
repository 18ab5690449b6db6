"""What a figure is given, and how it is drawn for one run or several."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from matplotlib.figure import Figure

from aecore.evaluation.figures.animation import Animation
from aecore.evaluation.trial import Trial


class TrialFigure(ABC):
    """A figure of a trained model: a pure function of a trial."""

    @abstractmethod
    def __call__(self, trial: Trial) -> Figure | Animation:
        """Draw; raises SkippedError with a reason where there is nothing to show."""

    def together(self, trials: Mapping[str, Trial]) -> Figure | None:
        """Draw several runs, by their names, in one figure; None leaves that to tiling.

        Tiling sets the figures that the runs drew side by side. Overridden where one scale or one
        plot shows more. A trial may be opened only when it is looked at, so look at none in vain.
        Raises SkippedError where these runs cannot be drawn jointly.
        """
        return None
