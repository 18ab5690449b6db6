"""The codes of images in two dimensions that keep neighbours together."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

from aecore.config.component import PositiveFloat, PositiveInt
from aecore.errors import SkippedError
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.latent import kinds_of, scatter
from aecore.evaluation.trial import Trial, noun_of


class TSNE(TrialFigure):
    """The mean codes of test images by t-SNE (van der Maaten & Hinton 2008), coloured by class.

    Distances between far clusters, and their sizes, mean nothing.

    points: test images shown, at most. perplexity: about the number of neighbours that count.
    """

    points: PositiveInt
    perplexity: PositiveFloat

    def __call__(self, trial: Trial) -> Figure:
        """Draw; raises SkippedError with fewer images than the perplexity needs."""
        from sklearn import manifold  # slow

        chosen = trial.balanced(self.points)
        if len(chosen) <= self.perplexity:
            raise SkippedError(f"a perplexity of {self.perplexity:g} and {len(chosen)} images")
        embedding = manifold.TSNE(perplexity=self.perplexity, random_state=trial.seed % 2**32)
        points = embedding.fit_transform(chosen.codes().flatten(1).double().cpu().numpy())
        kinds, names = kinds_of(chosen.images)
        what = f"{len(chosen)} {noun_of(trial.model.image_shape)}"
        title = f"Codes of {what} by t-SNE, perplexity {self.perplexity:g}"
        return scatter(torch.from_numpy(points), kinds, names, ["t-SNE 1", "t-SNE 2"], title)
