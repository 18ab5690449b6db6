"""The Jacobian of the code."""

from __future__ import annotations

from typing import Literal

from matplotlib.figure import Figure

from aecore.config.component import PositiveInt
from aecore.evaluation.figures.axes import finish, single
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.grid import ACCENT, INK
from aecore.evaluation.metrics.jacobian import jacobian_norms
from aecore.evaluation.trial import Trial, noun_of
from aecore.model.penalties.contractive import Contractive


class Jacobian(TrialFigure):
    """A histogram of ||d mean(z) / d x||_F, the Frobenius norm of the code's Jacobian.

    x is in the model's range (standardised if the data are), without noise.

    images: test images, at most. bins: of the histogram.
    method: 'exact', or 'estimate' from `samples` random projections, for large codes.
    """

    images: PositiveInt
    bins: PositiveInt
    method: Literal["exact", "estimate"]
    samples: PositiveInt

    def __call__(self, trial: Trial) -> Figure:
        """Draw; applies to every model and to tables too."""
        norm = Contractive(method=self.method, samples=self.samples)
        norms = jacobian_norms(trial.balanced(self.images), norm)
        noun = noun_of(trial.model.image_shape)
        figure, axes = single(5.6, 3.7)
        axes.hist(norms.numpy(), bins=self.bins, color="#30638e", alpha=0.8)
        mean = float(norms.mean())
        axes.axvline(mean, color=ACCENT, linewidth=1.4, label=f"mean {mean:.3g}")
        about = "" if self.method == "exact" else ", estimated"
        finish(axes, title=f"Jacobian of the code at {len(norms)} {noun}{about}",
               x=r"$\|\partial z\,/\,\partial x\|_F$", y=noun)  # fmt: skip
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)
        return figure
