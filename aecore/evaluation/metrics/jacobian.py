"""How much the code moves when the image does."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Generator, Tensor

from aecore.config.component import PositiveInt, component
from aecore.errors import NotApplicable
from aecore.evaluation.metrics.base import Metric, Subject
from aecore.model.autoencoder import Autoencoder
from aecore.model.conditioning import in_parts
from aecore.model.penalties.contractive import Contractive

_BATCH = 50  # images at once: an exact Jacobian holds a gradient for each code unit


def jacobian_norms(
    model: Autoencoder,
    images: Tensor,
    norm: Contractive,
    generator: Generator,
    labels: Tensor | None = None,
) -> Tensor:
    """||d mean(z) / d x||_F at each of (N, C, H, W) pixels, (N,) on the CPU.

    x is in the model's own range (standardised where it standardises), without noise.
    norm: computes the squares. generator: what an estimate draws from. labels: (N,), or None.
    """
    parts = []
    for x, y in in_parts(images, labels, _BATCH):
        with torch.no_grad():
            seen = model.run(x, generator, noisy=False, sample=False, y=y)
        parts.append(norm(seen).detach().float().cpu())
    return torch.cat(parts).clamp_min(0).sqrt()


class JacobianNorm(Metric):
    """`jacobian_norm`: the mean of ||d mean(z) / d x||_F, the Frobenius norm of the code's
    Jacobian, over test images (Rifai et al. 2011). x is in the model's own range.

    images: test images, at most.
    method: 'exact', or 'estimate' from `samples` random projections, for large codes.
    """

    @component
    def __init__(
        self, *, images: PositiveInt, method: Literal["exact", "estimate"], samples: PositiveInt
    ) -> None:
        self.images = images
        self.norm = Contractive(method=method, samples=samples)

    def __call__(self, subject: Subject) -> dict[str, float]:
        """Raises NotApplicable for codes made of words, which do not move by little."""
        if not subject.model.latent.smooth:
            raise NotApplicable("the code is made of words, which no small change of x moves")
        x, y = subject.some(subject.test, self.images)
        norms = jacobian_norms(subject.model, x, self.norm, subject.generator(), y)
        return {"jacobian_norm": float(norms.double().mean())}
