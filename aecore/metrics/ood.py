"""Whether the error tells images of the kind that was trained on from others."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from aecore.data import Split
from aecore.errors import NotApplicable
from aecore.metrics.base import Metric, Subject
from aecore.metrics.images import squared_error
from aecore.words import word


class Ood(Metric):
    """`auroc_NAME` for each other data set: how well the error of reconstruction detects it.

    The area under the ROC curve of the squared error per pixel: the probability that an image of
    that test split has a larger error than a test image, ties counted half.
    """

    @word
    def __init__(self) -> None: ...

    def __call__(self, subject: Subject) -> dict[str, float]:
        """Raises NotApplicable where there are no other data."""
        if not subject.ood:
            raise NotApplicable("there are no other data, name some with evaluate.ood=[kmnist]")
        known = _errors(subject, subject.test)
        return {
            f"auroc_{name}": auroc(known, _errors(subject, split))
            for name, split in subject.ood.items()
        }


def auroc(known: Tensor, unknown: Tensor) -> float:
    """How well larger scores (N,) and (M,) tell the unknown from the known: 0.5 is chance."""
    truth = np.repeat([0, 1], [len(known), len(unknown)])
    return float(roc_auc_score(truth, torch.cat([known, unknown]).numpy()))


def _errors(subject: Subject, split: Split) -> Tensor:
    parts = [squared_error(subject.model.reconstruct(x), x) for x in subject.batches(split)]
    return torch.cat(parts).double().cpu()
