"""How well clusters of the codes agree with the labels."""

from __future__ import annotations

from typing import ClassVar

from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix

from aecore.config.component import PositiveInt
from aecore.errors import SkippedError
from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.metrics.probe import labels_of
from aecore.evaluation.reported import Reported
from aecore.evaluation.trial import Trial


class Clustering(Metric):
    """K-means on the mean codes of test images, with as many clusters as there are classes.

    `cluster_nmi`: the normalised mutual information of clusters and labels. `cluster_ari`: the
    adjusted Rand index, 0 for random clusters. `cluster_accuracy`: the share of images in the class
    of their cluster, where each cluster stands for another class (Xie et al. 2016, eq. 10).

    images: test images, at most; null for all. starts: of k-means, of which the best is kept.
    """

    reports: ClassVar = {
        "cluster_nmi": Reported(True),
        "cluster_ari": Reported(True),
        "cluster_accuracy": Reported(True),
    }

    images: PositiveInt | None
    starts: PositiveInt

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Raises SkippedError without labels of two classes, or with fewer images than classes."""
        some = trial.at_most(self.images)
        labels = labels_of(some.images)
        classes = len(set(labels.tolist()))
        if len(some) <= classes:
            raise SkippedError(f"{len(some)} images of {classes} classes")
        kmeans = KMeans(classes, n_init=self.starts, random_state=trial.seed % 2**32)
        clusters = kmeans.fit_predict(some.codes().double().numpy())
        counts = contingency_matrix(labels, clusters)
        chosen = linear_sum_assignment(counts, maximize=True)
        return {
            "cluster_nmi": float(normalized_mutual_info_score(labels, clusters)),
            "cluster_ari": float(adjusted_rand_score(labels, clusters)),
            "cluster_accuracy": float(counts[chosen].sum() / counts.sum()),
        }
