"""Whether error and likelihood tell images of the kind that was trained on from others."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from aecore.config.component import component
from aecore.data.split import Split
from aecore.errors import NotApplicable
from aecore.evaluation.metrics.base import Metric, Subject
from aecore.evaluation.metrics.evaluate import elbo_parts
from aecore.evaluation.metrics.images import squared_error


class Ood(Metric):
    """`auroc_NAME`, `ap_NAME`: how well the error of reconstruction detects other images.

    NAME is another data set, or `other_classes` where the run is about some classes alone. The
    score of an image is its squared error per pixel. auroc is the area under the ROC curve: the
    probability that a strange image has a larger error than a test image, ties counted half; 0.5
    is chance. ap is the average precision: the mean, over the strange images, of the share of
    strange ones among all images with an error as large; chance is their share of all.

    Variational models with a likelihood have `auroc_NAME_elbo`, `ap_NAME_elbo` too, by minus the
    ELBO (the code drawn once). An image may well be likelier than those trained on (Nalisnick et
    al. 2019): these can be below chance.
    """

    @component
    def __init__(self) -> None: ...

    def __call__(self, subject: Subject) -> dict[str, float]:
        """Raises NotApplicable where there are no other images."""
        if not subject.ood:
            raise NotApplicable(
                "there are no other data, name some: evaluate.ood=[kmnist], or dataset.classes=[3]"
            )
        if subject.model.classes is not None:
            raise NotApplicable("the model is told classes, of which other images have none")
        known = _scores(subject, subject.test)
        found = {}
        for name, split in subject.ood.items():
            for kind, strange in _scores(subject, split).items():
                found[f"auroc_{name}{kind}"] = auroc(known[kind], strange)
                found[f"ap_{name}{kind}"] = average_precision(known[kind], strange)
        return found


def auroc(known: Tensor, unknown: Tensor) -> float:
    """How well larger scores (N,) and (M,) tell the unknown from the known: 0.5 is chance."""
    return float(roc_auc_score(_truth(known, unknown), torch.cat([known, unknown]).numpy()))


def average_precision(known: Tensor, unknown: Tensor) -> float:
    """The same as the precision at each unknown one, averaged: chance is M / (N + M)."""
    scores = torch.cat([known, unknown]).numpy()
    return float(average_precision_score(_truth(known, unknown), scores))


def _truth(known: Tensor, unknown: Tensor) -> np.ndarray:
    return np.repeat([0, 1], [len(known), len(unknown)])


def _scores(subject: Subject, split: Split) -> dict[str, Tensor]:
    """By the ending of a metric's name, (N,) float64 on the CPU: larger is stranger."""
    model, draws = subject.model, subject.generator()
    errors, surprises = [], []
    for x in subject.batches(split):
        errors.append(squared_error(model.reconstruct(x), x))
        if model.latent.variational and model.reconstruction.likelihood:
            log_likelihood, kl = elbo_parts(model, x, draws)
            surprises.append(kl - log_likelihood)
    found = {"": errors, "_elbo": surprises}
    return {kind: torch.cat(parts).double().cpu() for kind, parts in found.items() if parts}
