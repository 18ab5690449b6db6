"""How many dimensions the codes of all images fill."""

from __future__ import annotations

from typing import ClassVar

import torch

from aecore.errors import SkippedError
from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.metrics.principal import LARGEST, principal_components
from aecore.evaluation.reported import Reported
from aecore.evaluation.trial import Trial
from aecore.model.networks.base import flat


class CodeRank(Metric):
    """The rank of the covariance of the test images' mean codes, sharp and soft.

    `code_rank`: how many of its eigenvalues v are more than rounding. With p = v / sum(v),
    `effective_rank` is exp(-sum p log p) (Roy & Vetterli 2007) and `participation_ratio`
    1 / sum p^2: both are k where k dimensions vary alike and the others not at all. All are 0
    where every image has the same code.
    """

    reports: ClassVar = dict.fromkeys(
        ("code_rank", "effective_rank", "participation_ratio"), Reported()
    )

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Raises SkippedError for very large codes."""
        model = trial.model
        size = flat(model.code_shape)
        if size > LARGEST:
            raise SkippedError(f"codes of {size} dimensions: their covariance would be too large")
        components = principal_components(model.encode(x, y=y).mean for x, y in trial.batches())
        # the rounding error of values as large as these
        largest = float((components.mean.abs() + components.variances[0].sqrt()).max())
        floor = (largest * torch.finfo(torch.float32).eps) ** 2
        rank = min(components.rank, int((components.variances > floor).sum()))
        if not rank:
            return {"code_rank": 0.0, "effective_rank": 0.0, "participation_ratio": 0.0}
        shares = components.variances / components.variances.sum()
        return {
            "code_rank": float(rank),
            "effective_rank": float(torch.special.entr(shares).sum().exp()),
            "participation_ratio": float(1 / shares.square().sum()),
        }
