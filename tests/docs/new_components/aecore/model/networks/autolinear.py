"""A network with an inner layer."""

from __future__ import annotations

from torch import nn
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.model.networks.base import Activation, Network, flat
from aecore.model.networks.dense import Dense
from aecore.types import ImageShape, Shape


class Autolinear(Network):
    """One matrix to `width` features, and one matrix back."""

    norm = None

    width: PositiveInt
    output_activation: Activation | None

    @override
    def feature_shape(self, image_shape: ImageShape) -> Shape:
        return (self.width,)

    @override
    def encoder(self, image_shape: ImageShape) -> nn.Module:
        return nn.Sequential(nn.Flatten(), Dense(flat(image_shape), self.width))

    @override
    def decoder(self, code_shape: Shape, image_shape: ImageShape) -> nn.Module:
        back = Dense(flat(code_shape), flat(image_shape))
        return nn.Sequential(nn.Flatten(), back, nn.Unflatten(1, image_shape))
