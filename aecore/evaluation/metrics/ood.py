"""How well error and likelihood detect out-of-distribution images."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from aecore.errors import SkippedError
from aecore.evaluation.metrics.anomaly_score import By, Units, scorer
from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.metrics.elbo import has_elbo
from aecore.evaluation.reported import Reported
from aecore.evaluation.trial import Trial, need_no_classes


class Ood(Metric):
    """`auroc_NAME`, `ap_NAME`: how well the error of reconstruction detects other images.

    NAME is another data set, or `other_classes` where the run was trained on some classes alone.
    The score of an image is its squared error per pixel. units: of the rows of a table, "model" for
    standardised values, "data" for those of the columns. auroc is the area under the ROC curve: the
    probability that an unknown image has a larger error than a test image, ties counted half; 0.5
    is chance. ap is the average precision: the mean, over the unknown images, of the share of
    unknown ones among all images with an error as large; chance is their share of all.

    Variational models with a likelihood have `auroc_NAME_elbo`, `ap_NAME_elbo` too, by minus the
    ELBO (the code drawn once). An image may well be likelier than those trained on (Nalisnick et
    al. 2019): these can be below chance.
    """

    reports: ClassVar = {"auroc_*": Reported(True), "ap_*": Reported(True)}

    units: Units

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Raises SkippedError where there are no other images."""
        if not trial.ood:
            raise SkippedError(
                "there are no other data, name some: evaluate.ood=[kmnist], or dataset.classes=[3]"
            )
        need_no_classes(trial)
        kinds: dict[By, str] = {"error": "", "elbo": "_elbo"}
        if not has_elbo(trial.model):
            del kinds["elbo"]
        known = {by: self._scores(trial, by) for by in kinds}
        values = {}
        for name, split in trial.ood.items():
            for by, kind in kinds.items():
                unknown = self._scores(trial.on(split), by)
                values[f"auroc_{name}{kind}"] = auroc(known[by], unknown)
                values[f"ap_{name}{kind}"] = average_precision(known[by], unknown)
        return values

    def _scores(self, trial: Trial, by: By) -> Tensor:
        """(N,) float64 on the CPU: larger is more anomalous."""
        score = scorer(trial.model, by, trial.generator(), self.units)
        return torch.cat([score(x, None) for x, _ in trial.batches()]).double().cpu()


def auroc(known: Tensor, unknown: Tensor) -> float:
    """The area under the ROC curve of scores (N,) of known and (M,) of unknown images."""
    return float(roc_auc_score(_truth(known, unknown), torch.cat([known, unknown]).numpy()))


def average_precision(known: Tensor, unknown: Tensor) -> float:
    """The average precision of the same: chance is M / (N + M)."""
    scores = torch.cat([known, unknown]).numpy()
    return float(average_precision_score(_truth(known, unknown), scores))


def _truth(known: Tensor, unknown: Tensor) -> np.ndarray:
    return np.repeat([0, 1], [len(known), len(unknown)])
