"""The norm of the Jacobian of the code."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from aecore.config.component import PositiveInt
from aecore.errors import SkippedError
from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.reported import Reported
from aecore.evaluation.trial import Trial
from aecore.model.penalties.contractive import Contractive

_BATCH = 50  # images at once: an exact Jacobian holds a gradient for each latent dimension


def jacobian_norms(trial: Trial, norm: Contractive) -> Tensor:
    """||d mean(z) / d x||_F at each image, (N,) on the CPU.

    x is in the model's range (standardised if the data are), without noise.
    norm: computes the squares.
    """
    generator, norms = trial.generator(), []
    for x, y in trial.batches(_BATCH):
        with torch.no_grad():
            seen = trial.model.run(x, generator, noisy=False, sample=False, y=y)
        norms.append(norm(seen).detach().float().cpu())
    return torch.cat(norms).clamp_min(0).sqrt()


class JacobianNorm(Metric):
    """`jacobian_norm`: the mean of ||d mean(z) / d x||_F over test images (Rifai et al. 2011).

    The Frobenius norm of the code's Jacobian; x is in the model's range.

    images: test images, at most.
    method: 'exact', or 'estimate' from `samples` random projections, for large codes.
    """

    reports: ClassVar = {"jacobian_norm": Reported()}

    images: PositiveInt
    method: Literal["exact", "estimate"]
    samples: PositiveInt

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Raises SkippedError for discrete codes."""
        if not trial.model.latent.smooth:
            raise SkippedError("the code is discrete, so no small change of x changes it")
        norm = Contractive(method=self.method, samples=self.samples)
        norms = jacobian_norms(trial.sample(self.images), norm)
        return {"jacobian_norm": float(norms.double().mean())}
