"""A second variational autoencoder, of the codes, as sampler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.model.autoencoder import Autoencoder
from aecore.model.latents.gaussian import GaussianLatent
from aecore.model.networks.mlp import MLP
from aecore.model.penalties.kl import KL
from aecore.model.reconstruction.gaussian import GaussianLikelihood
from aecore.model.samplers.base import CodeSampler, Fitted
from aecore.model.samplers.networks import NetworkSampler, initialised, restored_network


@dataclass(frozen=True)
class SecondStage(Fitted):
    """p(z) = int p(z | u) N(u; 0, I) du, by a VAE of codes, which are tables for it."""

    vae: Autoencoder

    no_temperature = None

    @torch.no_grad()
    @override
    def draw(
        self, n: int, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor:
        vae = self.vae.to(like)
        mean = vae.normalise(vae.sample(n, generator, temperature=temperature))
        noise = torch.empty_like(mean).normal_(generator=generator)
        deviation = (vae.reconstruction.variance or 0.0) ** 0.5
        return vae.denormalise(mean + temperature * deviation * noise).flatten(1)


class TwoStage(NetworkSampler, CodeSampler):
    """A VAE of the codes, with as many latent dimensions and a learned variance, trained with Adam.

    Dai & Wipf 2019. Its learning rate falls to 0 along a cosine.

    hidden: units of the layers of its encoder; its decoder mirrors them.
    epochs, batch_size, lr: of its training.
    images: maximum number of training images that are encoded.
    """

    name = "two_stage"

    hidden: Annotated[list[PositiveInt], Field(min_length=1)]

    @override
    def fit(self, codes: Tensor, seed: int) -> SecondStage:
        spread = codes.std(0)
        scale = torch.where(spread > 0, spread, 1)
        rows = codes[:, None, None]
        vae = initialised(partial(self._vae, codes.mean(0), scale), seed)

        def loss(batch: Tensor, draws: Generator) -> Tensor:
            return vae.terms(rows[batch], draws, epoch=0.0, noisy=True).loss

        self.train(vae, loss, len(rows), seed)
        return SecondStage(vae.eval())

    def _vae(self, mean: Tensor, scale: Tensor) -> Autoencoder:
        dim = len(mean)
        network = MLP(
            hidden=self.hidden,
            decoder_hidden=None,
            activation="relu",
            output_activation=None,
            bias=True,
            norm=None,
            dropout=0.0,
        )
        return Autoencoder(
            image_shape=(1, 1, dim),
            network=network,
            latent=GaussianLatent(dim=dim),
            reconstruction=GaussianLikelihood(scale="learned"),
            penalties={"kl": KL()},
            shift=mean.view(1, 1, dim),
            scale=scale.view(1, 1, dim),
        )

    @override
    def restore(self, tensors: Mapping[str, Tensor], dim: int) -> SecondStage:
        make = partial(self._vae, torch.zeros(dim), torch.ones(dim))
        return SecondStage(restored_network(make, tensors, "vae").eval())
