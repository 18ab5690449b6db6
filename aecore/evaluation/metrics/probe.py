"""How well simple classifiers predict the labels from the code."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from aecore.config.component import PositiveInt
from aecore.data.split import Split
from aecore.errors import SkippedError
from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.reported import Reported
from aecore.evaluation.trial import Trial


class Probe(Metric):
    """The accuracy on test images of two classifiers that are given the mean code.

    `knn_accuracy`: by the `neighbours` nearest training codes (Euclidean, codes as they are).
    `logistic_accuracy`: by logistic regression; a linear readout, L2-regularised as is
    scikit-learn's default (C = 1).

    images: training images, at most; null for all. iterations: of the regression, at most.
    standardise: whether the regression is given each latent dimension standardised over the
        training codes, so that its scale does not matter; in sparse codes that inflates dimensions
        that are rarely not 0.
    """

    reports: ClassVar = {"knn_accuracy": Reported(True), "logistic_accuracy": Reported(True)}

    images: PositiveInt | None
    neighbours: PositiveInt
    iterations: PositiveInt
    standardise: bool

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Raises SkippedError without labels of two classes, or with very few images.

        Also where the images have other classes than those trained on.
        """
        known = trial.on(trial.training).at_most(self.images)
        labels, truth = labels_of(known.images), labels_of(trial.images)
        if known.images.class_names != trial.images.class_names:
            raise SkippedError("the images have other classes than the training images")
        if len(known) < self.neighbours:
            raise SkippedError(f"{self.neighbours} neighbours of {len(known)} training images")
        codes = [part.codes().double().numpy() for part in (known, trial)]
        readers = {
            "knn": KNeighborsClassifier(self.neighbours, algorithm="brute"),
            "logistic": make_pipeline(
                StandardScaler() if self.standardise else "passthrough",
                LogisticRegression(max_iter=self.iterations),
            ),
        }
        return {
            f"{name}_accuracy": float(reader.fit(codes[0], labels).score(codes[1], truth))
            for name, reader in readers.items()
        }


def labels_of(split: Split) -> NDArray[np.int64]:
    """The labels of a split, (N,); SkippedError where there are none or all are the same."""
    if split.labels is None:
        raise SkippedError("the images have no labels")
    labels: NDArray[np.int64] = split.labels.cpu().numpy()
    if len(np.unique(labels)) < 2:
        raise SkippedError("all images have the same label")
    return labels
