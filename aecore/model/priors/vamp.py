"""The VampPrior: a mixture of the posteriors of learned pseudo-inputs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Generator, Tensor, nn
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.data.split import Split
from aecore.errors import UserError
from aecore.model.codes import Posterior
from aecore.model.passes import Model
from aecore.model.priors.base import Prior, PriorDensity
from aecore.model.priors.checks import check_learned
from aecore.types import Shape, is_table

_EDGE = 0.05  # distance to black and white, where the sigmoid saturates


class Vamp(Prior):
    """p(z) = 1/K sum_k q(z | u_k), the posteriors of K learned pseudo-inputs u_k.

    Tomczak & Welling 2018. The parameters are the logits of their pixels, or the values of a
    standardised table. In a class-conditional model their classes are 0, 1, ... in turn.

    components: K. start: initialisation of the parameters by 'noise', N(0, 1), or 'data', training
        images of the respective classes.
    """

    encodes = True

    components: PositiveInt
    start: Literal["noise", "data"]

    @override
    def attach(self, model: Model) -> Prior:
        self.logits = nn.Parameter(torch.randn(self.components, *model.image_shape))
        return self

    @override
    def check(self, model: Model) -> None:
        check_learned(model, "vamp", bounded=True)
        if model.latent.codebook_size is not None or model.latent.sequential:
            raise UserError(
                "prior=vamp: this latent has no, or only slow, densities of codes under the "
                "posteriors of other images",
                "use latent=gaussian or latent=hypersphere, or prior=standard",
            )

    @torch.no_grad()
    @override
    def begin(self, model: Model, training: Split, seed: int) -> None:
        if self.start == "data":
            pixels = training.pixels(_some(training, self.components, model.classes, seed))
            free = model.normalise(pixels.to(model.shift.device))
            edged = torch.logit(pixels.clamp(_EDGE, 1 - _EDGE))
            self.logits.copy_(free if _unbounded(model) else edged)

    def images(self, model: Model) -> Tensor:
        """The pseudo-inputs in the model's range, (K, C, H, W)."""
        return self.logits if _unbounded(model) else model.normalise(self.logits.sigmoid())

    @override
    def density(self, model: Model) -> PriorDensity:
        return VampPrior(model, self.images(model))


class VampPrior(PriorDensity):
    """The mixture of the posteriors of images, which are encoded once."""

    def __init__(self, model: Model, images: Tensor) -> None:
        """images: in the model's range, (K, C, H, W)."""
        self.model, self.images = model, images
        if model.latent.gaussian:
            self.no_temperature = None
        with _in_evaluation_mode(model.encoder):
            self.posterior = self._posterior(torch.arange(len(images), device=images.device))

    def _posterior(self, chosen: Tensor) -> Posterior:
        y = None if self.model.classes is None else chosen % self.model.classes
        # not `encode`: binarised images would have no gradient
        h, _ = self.model.features(self.images[chosen], y)
        posterior: Posterior | None = self.model.latent(h, None, False).posterior
        assert posterior is not None, "only variational latents have posteriors"
        return posterior

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of all dimensions jointly, (N, 1)."""
        each = self.posterior.log_prob(z.unsqueeze(-2)).sum(-1)
        return each.logsumexp(-1, keepdim=True) - math.log(len(self.images))

    @torch.no_grad()
    @override
    def sample(
        self, shape: Shape, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor:
        chosen = torch.randint(len(self.images), shape[:1], generator=generator, device=like.device)
        posterior = self._posterior(chosen)
        drawn = posterior.sample(generator)
        if temperature != 1:
            drawn = torch.lerp(posterior.mean, drawn, temperature)
        return drawn.to(like).view(shape)


def _unbounded(model: Model) -> bool:
    """Whether values are not restricted to [0, 1]."""
    return model.limits is not None or (model.standardised and is_table(model.image_shape))


def _some(training: Split, count: int, classes: int | None, seed: int) -> Tensor:
    """Indices of initial images, (count,) int64; for a conditional model of each class in turn."""
    order = torch.randperm(len(training), generator=Generator().manual_seed(seed))
    if classes is None or training.labels is None:
        return order[torch.arange(count) % len(order)]
    labels = training.labels.cpu()[order]
    known = [order[labels == k] for k in range(classes)]
    known = [some if len(some) else order for some in known]  # any image for an empty class
    turns = [(k // classes, known[k % classes]) for k in range(count)]
    return torch.stack([some[turn % len(some)] for turn, some in turns])


@contextmanager
def _in_evaluation_mode(encoder: nn.Module) -> Iterator[None]:
    """Batch norm and dropout in evaluation mode: pseudo-inputs are not part of the batch.

    Batch norm uses its running statistics without updating them.
    """
    kinds = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
    moved = [m for m in encoder.modules() if m.training and isinstance(m, kinds)]
    for module in moved:
        module.training = False
    try:
        yield
    finally:
        for module in moved:
            module.training = True
