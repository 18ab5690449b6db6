"""What simple classifiers read from the code."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from aecore.config.component import PositiveInt, component
from aecore.data.split import Split
from aecore.errors import NotApplicable
from aecore.evaluation.metrics.base import Metric, Subject
from aecore.evaluation.metrics.mean_codes import mean_codes, part_of


class Probe(Metric):
    """How many of the test images' labels two classifiers tell from the mean code.

    `knn_accuracy`: by the `neighbours` nearest training codes (Euclidean, codes as they are).
    `logistic_accuracy`: by logistic regression; a linear readout, L2-regularised as is
    scikit-learn's default (C = 1).

    images: training images, at most; null for all. iterations: of the regression, at most.
    standardise: whether the regression sees each number standardised over the training codes, so
        that the unit it is in does not matter; of sparse codes that blows up what is rarely not 0.
    """

    @component
    def __init__(
        self,
        *,
        images: PositiveInt | None,
        neighbours: PositiveInt,
        iterations: PositiveInt,
        standardise: bool,
    ) -> None:
        self.images = images
        self.standardise = standardise
        self.neighbours = neighbours
        self.iterations = iterations

    def __call__(self, subject: Subject) -> dict[str, float]:
        """Raises NotApplicable without labels of two classes, or with very few images.

        Also where the images have other classes than those that it was trained on.
        """
        some = part_of(subject.training, self.images, subject.seed)
        labels, truth = labels_of(some), labels_of(subject.test)
        if some.class_names != subject.test.class_names:
            raise NotApplicable("the images have other classes than those it was trained on")
        if len(some) < self.neighbours:
            raise NotApplicable(f"{self.neighbours} neighbours of {len(some)} training images")
        codes = [mean_codes(subject, split).double().numpy() for split in (some, subject.test)]
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
    """The labels of a split, (N,); NotApplicable where there are none or all are the same."""
    if split.labels is None:
        raise NotApplicable("the images have no labels")
    labels: NDArray[np.int64] = split.labels.cpu().numpy()
    if len(np.unique(labels)) < 2:
        raise NotApplicable("all images have the same label")
    return labels
