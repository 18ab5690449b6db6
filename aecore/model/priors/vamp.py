"""A prior that the encoder makes of learned images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import torch
from torch import Generator, Tensor, nn
from typing_extensions import override

from aecore.config.component import PositiveInt, component
from aecore.errors import UserError
from aecore.model.codes import Posterior
from aecore.model.passes import LatentProtocol, Model
from aecore.model.priors.base import Prior, PriorDensity
from aecore.model.priors.checks import need_latent_posterior, need_teacher
from aecore.types import ImageShape, Shape, is_table

if TYPE_CHECKING:
    from aecore.data.split import Split

_EDGE = 0.05  # nearer to black and white a sigmoid would hardly move


class Vamp(Prior):
    """p(z) = 1/K sum_k q(z | u_k), the posteriors of K learned pseudo-inputs u_k.

    Tomczak & Welling 2018. Their pixels are the sigmoids of what is learned, but the numbers of a
    standardised table are learned as they are. In a class-conditional model they are of one
    class after the other.

    components: K. start: 'noise', of N(0, 1) what is said above, or 'data', training images, each
        of its class.
    """

    @component
    def __init__(self, *, components: PositiveInt, start: Literal["noise", "data"]) -> None:
        super().__init__()
        self.components, self.start = components, start

    @override
    def attach(self, latent: LatentProtocol, code_shape: Shape, image_shape: ImageShape) -> Prior:
        need_latent_posterior(latent, "vamp")
        if latent.codebook_size is not None or latent.sequential:
            raise UserError(
                "prior=vamp: this latent's posteriors know no density of another's code, or take "
                "too long",
                "use latent=gaussian or latent=hypersphere, or prior=standard",
            )
        self.logits = nn.Parameter(torch.randn(self.components, *image_shape))
        return self

    @override
    def check(self, model: Model) -> None:
        need_teacher(model, "vamp")

    @torch.no_grad()
    @override
    def begin(self, model: Model, training: Split, seed: int) -> None:
        if self.start == "data":
            pixels = training.pixels(_some(training, self.components, model.classes, seed))
            free = model.normalise(pixels.to(model.shift))
            edged = torch.logit(pixels.clamp(_EDGE, 1 - _EDGE))
            self.logits.copy_(free if _unbounded(model) else edged)

    def images(self, model: Model) -> Tensor:
        """The pseudo-inputs in the model's range, (K, C, H, W)."""
        return self.logits if _unbounded(model) else model.normalise(self.logits.sigmoid())

    @override
    def density(self, model: Model) -> PriorDensity:
        return VampPrior(model, self.images(model))


class VampPrior(PriorDensity):
    """The mixture of the posteriors of some images, which are encoded once."""

    def __init__(self, model: Model, images: Tensor) -> None:
        """images: in the model's range, (K, C, H, W)."""
        self.model, self.images = model, images
        if model.latent.gaussian:
            self.no_temperature = None
        with _settled(model.encoder):
            self.posterior = self._posterior(torch.arange(len(images), device=images.device))

    def _posterior(self, chosen: Tensor) -> Posterior:
        y = None if self.model.classes is None else chosen % self.model.classes
        # not `encode`: images that are made black and white would have no gradient
        h, _ = self.model.features(self.images[chosen], y)
        posterior: Posterior | None = self.model.latent(h, None, False).posterior
        assert posterior is not None, "only variational latents have posteriors"
        return posterior

    def log_prob(self, z: Tensor) -> Tensor:
        """Of all dimensions together, (N, 1)."""
        each = self.posterior.log_prob(z.unsqueeze(-2)).sum(-1)
        return each.logsumexp(-1, keepdim=True) - math.log(len(self.images))

    @torch.no_grad()
    @override
    def sample(
        self,
        n: int,
        shape: Shape,
        like: Tensor,
        generator: Generator | None,
        temperature: float = 1.0,
    ) -> Tensor:
        chosen = torch.randint(len(self.images), (n,), generator=generator, device=like.device)
        posterior = self._posterior(chosen)
        drawn = posterior.sample(generator)
        if temperature != 1:
            drawn = torch.lerp(posterior.mean, drawn, temperature)
        return drawn.to(like).view(n, *shape)


def _unbounded(model: Model) -> bool:
    """Whether numbers are no pixels in [0, 1]."""
    return model.standardised and is_table(model.image_shape)


def _some(training: Split, count: int, classes: int | None, seed: int) -> Tensor:
    """Which images to start from, (count,) int64: of a conditional model of each class in turn."""
    order = torch.randperm(len(training), generator=Generator().manual_seed(seed))
    if classes is None or training.labels is None:
        return order[torch.arange(count) % len(order)]
    labels = training.labels.cpu()[order]
    known = [order[labels == k] for k in range(classes)]
    known = [own if len(own) else order for own in known]  # of a class that no image has, any
    turns = [(k // classes, known[k % classes]) for k in range(count)]
    return torch.stack([own[turn % len(own)] for turn, own in turns])


@contextmanager
def _settled(encoder: nn.Module) -> Iterator[None]:
    """Without what layers do in training only: pseudo-inputs are no part of the batch.

    A batch norm sees them through its running statistics, which they do not move.
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
