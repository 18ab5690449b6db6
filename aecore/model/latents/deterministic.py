"""Codes without randomness: a vector, or the feature map itself."""

from __future__ import annotations

from torch import Generator, Tensor, nn
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.model.codes import Code
from aecore.model.latents.base import Latent, need_map
from aecore.model.networks.base import Activation, activation_layer, flat
from aecore.model.networks.dense import Dense
from aecore.types import Shape


class Deterministic(Latent):
    """z = activation(W h + b), with `dim` dimensions."""

    layered = True

    dim: PositiveInt
    activation: Activation | None
    bias: bool

    @override
    def attach(self, feature_shape: Shape) -> Shape:
        self.project = nn.Sequential(
            nn.Flatten(),
            Dense(flat(feature_shape), self.dim, bias=self.bias),
            *activation_layer(self.activation),
        )
        return (self.dim,)

    @override
    def forward(self, h: Tensor, generator: Generator | None, sample: bool) -> Code:
        z = self.project(h)
        return Code(z, z)


class Spatial(Latent):
    """The feature map itself, (channels, H, W); after a 1x1 convolution to `channels` if given."""

    channels: PositiveInt | None
    activation: Activation | None

    @override
    def attach(self, feature_shape: Shape) -> Shape:
        height, width = need_map(feature_shape, "spatial", "deterministic")
        layers: list[nn.Module] = []
        if self.channels is not None:
            layers.append(nn.Conv2d(feature_shape[0], self.channels, 1))
        self.project = nn.Sequential(*layers, *activation_layer(self.activation))
        return (self.channels or feature_shape[0], height, width)

    @override
    def forward(self, h: Tensor, generator: Generator | None, sample: bool) -> Code:
        z = self.project(h)
        return Code(z, z)
