"""Images that a critic sees alike, and that it takes for real ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from aecore.config.component import LearningRate, NonNegativeFloat, PositiveInt, component
from aecore.errors import UserError
from aecore.model.critics import Adversary, ImageCritic, fake_loss, frozen, real_loss
from aecore.model.passes import Model, Pass
from aecore.model.reconstruction.base import Reconstruction


class AdversarialReconstruction(Adversary, Reconstruction):
    """||f(x) - f(image)||^2 / 2, where f are features of a critic of images, learned beside.

    Larsen et al. 2016 (VAE-GAN), algorithm 1, beside `kl`. The critic tells images of
    the data from decoded codes: those of the batch, and draws of the prior where there is one,
    both kinds together counting as much as the data. The decoder alone is moved to deceive it, by
    a cost `realism`: -log of what the critic gives for its images to be real, in nats, summed over
    the two kinds and times the number of features. No likelihood of pixels, so there is no ELBO.

    In [0, 1] pixels are the sigmoid of the output, unless the network has an output activation.

    realism: weight of that cost; times the number of features it is 1 / gamma of the paper.
    channels, units: of the critic, see `ImageCritic`. layer: whose features are f, from 1.
    """

    name = "adversarial"
    likelihood = False
    cost_names = ("realism",)
    critic: ImageCritic

    @component
    def __init__(
        self,
        *,
        realism: NonNegativeFloat,
        channels: Annotated[list[PositiveInt], Field(min_length=1)],
        units: PositiveInt,
        layer: PositiveInt,
        critic_lr: LearningRate,
    ) -> None:
        """Raises UserError for a layer that is not there."""
        super().__init__()
        if layer > len(channels):
            raise UserError(
                f"reconstruction.adversarial.layer={layer}: the critic has only {len(channels)} "
                f"layers",
                f"use 1 to {len(channels)}, or more reconstruction.adversarial.channels",
            )
        self.realism = realism
        self.channels, self.units, self.layer = channels, units, layer
        self.critic_lr = critic_lr

    @override
    def attach_critic(self, model: Model) -> None:
        self.logits = not model.standardised and model.output_activation is None
        self.critic = ImageCritic(model.image_shape, self.channels, self.units, self.layer)
        with torch.no_grad():
            self.features = self.critic.trunk(torch.zeros(1, *model.image_shape)).numel()

    @override
    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        seen, wanted = (frozen(self.critic.trunk, i) for i in (self.image(output), x))
        return 0.5 * (seen - wanted).square().flatten(1).sum(1)

    @override
    def log_constant(self, pixels: int) -> float:
        return 0.0

    @override
    def image(self, output: Tensor) -> Tensor:
        return output.sigmoid() if self.logits else output

    @override
    def costs(self, p: Pass) -> Mapping[str, Tensor]:
        # decoded anew, from codes that lead no gradient to the encoder
        fakes = self._decoded([p.code.z.detach(), *_drawn(p)], p)
        believed = real_loss(frozen(self.critic, torch.cat(fakes)))
        return {"realism": self.realism * self.features * believed.view(len(fakes), -1).sum(0)}

    @override
    def critic_loss(self, p: Pass) -> Tensor:
        with torch.no_grad():
            fakes = [self.image(p.output), *self._decoded(_drawn(p), p)]
            images = torch.cat([p.x, *fakes])
        logits = self.critic(images).view(1 + len(fakes), -1)
        return 0.5 * (real_loss(logits[0]) + fake_loss(logits[1:]).mean(0))

    def _decoded(self, codes: list[Tensor], p: Pass) -> list[Tensor]:
        context = tuple(part.detach() for part in p.code.context)
        return [self.image(p.model.output(z, context)) for z in codes]


@torch.no_grad()
def _drawn(p: Pass) -> list[Tensor]:
    """As many codes of the prior as the batch has images, where that makes images."""
    if not p.model.draws_prior:
        return []
    return [p.model.prior_density.sample(len(p.x), p.model.code_shape, p.code.z, p.generator)]
