"""Reconstruction by the features of a critic of images (VAE-GAN)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from aecore.config.component import LearningRate, NonNegativeFloat, PositiveInt
from aecore.errors import ConfigError
from aecore.model.critics import Adversary, ImageCritic, fake_loss, frozen, real_loss
from aecore.model.passes import Model, Pass
from aecore.model.reconstruction.base import Reconstruction


class AdversarialReconstruction(Adversary, Reconstruction):
    """||f(x) - f(image)||^2 / 2, with f the features of a critic of images.

    Larsen et al. 2016 (VAE-GAN), algorithm 1, with `kl`. The critic discriminates images of the
    data from decoded codes: those of the batch, and samples of the prior if there is one, which
    together have the weight of the data. The cost `realism` trains the decoder only: the negative
    log probability that its images are real, in nats, summed over the two kinds, times the number
    of features. There is no likelihood of pixels and therefore no ELBO.

    Pixels in [0, 1] are the sigmoid of the output, unless the network has an output activation.

    realism: weight of this cost; times the number of features it is 1 / gamma of the paper.
    channels, units: of the critic, see `ImageCritic`. layer: the layer of the features f, from 1.
    """

    name = "adversarial"
    likelihood = False
    cost_names = ("realism",)

    realism: NonNegativeFloat
    channels: Annotated[list[PositiveInt], Field(min_length=1)]
    units: PositiveInt
    layer: PositiveInt
    critic_lr: LearningRate

    def __post_init__(self) -> None:
        """Raises ConfigError if the critic has no such layer."""
        layers = len(self.channels)
        if self.layer > layers:
            problem = f"the critic has only {layers} layers"
            hint = f"use 1 to {layers}, or more reconstruction.adversarial.channels"
            raise ConfigError("reconstruction.adversarial.layer", self.layer, problem, hint)

    @override
    def connect(self, model: Model) -> None:
        self.logits = not model.standardised and model.output_activation is None
        self.critic: ImageCritic = ImageCritic(
            model.image_shape, self.channels, self.units, self.layer
        )
        with torch.no_grad():
            self.features = self.critic.trunk(torch.zeros(1, *model.image_shape)).numel()

    @override
    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        return self.between(self.image(output), x)

    @override
    def between(self, image: Tensor, x: Tensor) -> Tensor:
        features, targets = (frozen(self.critic.trunk, i) for i in (image, x))
        return 0.5 * (features - targets).square().flatten(1).sum(1)

    @override
    def image(self, output: Tensor) -> Tensor:
        return output.sigmoid() if self.logits else output

    @override
    def costs(self, p: Pass) -> Mapping[str, Tensor]:
        # decoded again, from detached codes: no gradient for the encoder
        fakes = _decoded([p.code.z.detach(), *_drawn(p)], p)
        losses = real_loss(frozen(self.critic, torch.cat(fakes)))
        return {"realism": self.realism * self.features * losses.view(len(fakes), -1).sum(0)}

    @override
    def critic_loss(self, p: Pass) -> Tensor:
        with torch.no_grad():
            fakes = [p.model.reconstruction.image(p.output), *_decoded(_drawn(p), p)]
            images = torch.cat([p.x, *fakes])
        logits = self.critic(images).view(1 + len(fakes), -1)
        return 0.5 * (real_loss(logits[0]) + fake_loss(logits[1:]).mean(0))


def _decoded(codes: list[Tensor], p: Pass) -> list[Tensor]:
    """The images of codes, in the model's range."""
    context = tuple(part.detach() for part in p.code.context)
    return [p.model.reconstruction.image(p.model.output(z, context)) for z in codes]


@torch.no_grad()
def _drawn(p: Pass) -> list[Tensor]:
    """Samples of the prior, as many as the batch has images, if they can be decoded."""
    if not p.model.draws_prior:
        return []
    return [p.model.prior_density.sample(p.code.z.shape, p.code.z, p.generator)]
