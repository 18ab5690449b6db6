"""The matrix of a linear model."""

from __future__ import annotations

from matplotlib.figure import Figure

from aecore.config.component import Probability
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.heat import heat_map
from aecore.evaluation.figures.scale import Scale
from aecore.evaluation.metrics.identity import distance, need_linear, principal_space, product
from aecore.evaluation.trial import Trial

_SIDE = 600  # approximate side of the heat map, in pixels


class WeightProduct(TrialFigure):
    """The product P of all weight matrices of a linear model, decoder times encoder.

    The model maps an image x to P x + c, in its own range. A perfect one has P v = v for every
    direction v in which images differ. The title gives the distance from that:
    ||(P - I) V||_F / ||V||_F, where the columns of V are the leading principal components of the
    test images, as many as explain `explained` of their variance.
    """

    explained: Probability

    def __call__(self, trial: Trial) -> Figure:
        """Draw; raises SkippedError for a model that is not linear, or too large."""
        need_linear(trial)
        matrix = product(trial.model)
        components = principal_space(trial, self.explained)
        count = components.shape[1]
        title = (
            f"Decoder times encoder, {distance(matrix, components):.3f} from the identity\n"
            f"on the {count} of {len(matrix)} dimensions with {100 * self.explained:g} % "
            "of the variance"
        )
        figure = heat_map(matrix, Scale(max(float(matrix.abs().max()), 1e-12)), title, _SIDE)
        figure.axes[0].set(xlabel="pixel of the input", ylabel="pixel of the output")
        return figure
