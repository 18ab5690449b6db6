"""Passes to penalise, and a slow Jacobian to judge by."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from aecore.model.autoencoder import Autoencoder
from aecore.model.passes import Pass
from helpers.models import images


def slow_norm(whole: Autoencoder, x: Tensor, create_graph: bool = False) -> Tensor:
    """||d mean / d x||^2 of each image by torch's own Jacobian, one image at a time, (N,)."""
    norms = []
    for one in x:
        jacobian = torch.autograd.functional.jacobian(
            lambda v: whole.latent(whole.encoder(v), None, False).mean.flatten(),
            one[None],
            create_graph=create_graph,
        )
        norms.append(jacobian.square().sum())
    return torch.stack(norms)


def passed(whole: Autoencoder, n: int = 4, generator: Generator | None = None) -> Pass:
    x = images(n, *whole.image_shape, seed=7, dtype=torch.float64)
    return whole.run(x, generator, noisy=False, sample=False)


def same(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-13)
