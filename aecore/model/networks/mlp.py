"""Fully connected networks: `linear` and `mlp`."""

from __future__ import annotations

from torch import nn
from typing_extensions import override

from aecore.config.component import PositiveInt, Probability
from aecore.model.networks.base import Activation, Network, Norm, activation_layer, flat
from aecore.model.networks.dense import Dense
from aecore.types import ImageShape, Shape


class MLP(Network):
    """Layers of `hidden` units in the encoder, `decoder_hidden` in the decoder (mirrored if None).

    Each layer is Linear, norm, activation, dropout; the decoder ends in one more Linear and the
    output activation. `activation=None` makes a deep linear network.
    """

    hidden: list[PositiveInt]
    decoder_hidden: list[PositiveInt] | None
    activation: Activation | None
    output_activation: Activation | None
    bias: bool
    norm: Norm | None
    dropout: Probability

    def __post_init__(self) -> None:
        units = self.decoder_hidden
        self.decoder_units = self.hidden[::-1] if units is None else units

    @override
    def feature_shape(self, image_shape: ImageShape) -> Shape:
        return (self.hidden[-1],) if self.hidden else (flat(image_shape),)

    @override
    def encoder(self, image_shape: ImageShape) -> nn.Module:
        return nn.Sequential(nn.Flatten(), *self._layers(flat(image_shape), self.hidden))

    @override
    def decoder(self, code_shape: Shape, image_shape: ImageShape) -> nn.Module:
        width = flat(code_shape)
        last = self.decoder_units[-1] if self.decoder_units else width
        return nn.Sequential(
            nn.Flatten(),
            *self._layers(width, self.decoder_units),
            Dense(last, flat(image_shape), bias=self.bias),
            *activation_layer(self.output_activation),
            nn.Unflatten(1, image_shape),
        )

    def _layers(self, width: int, widths: list[int]) -> list[nn.Module]:
        layers: list[nn.Module] = []
        for before, after in zip([width, *widths], widths, strict=False):
            layers.append(Dense(before, after, bias=self.bias))
            if self.norm is not None:
                layers.append(
                    nn.BatchNorm1d(after) if self.norm == "batch" else nn.LayerNorm(after)
                )
            layers += activation_layer(self.activation)
            if self.dropout > 0:
                layers.append(nn.Dropout(self.dropout))
        return layers


class Linear(Network):
    """A linear encoder and decoder, whose minimal mean squared error is that of PCA.

    The encoder only flattens; the latent's projection is the first matrix.
    """

    norm = None

    bias: bool
    output_activation: Activation | None

    @override
    def feature_shape(self, image_shape: ImageShape) -> Shape:
        return (flat(image_shape),)

    @override
    def encoder(self, image_shape: ImageShape) -> nn.Module:
        return nn.Flatten()

    @override
    def decoder(self, code_shape: Shape, image_shape: ImageShape) -> nn.Module:
        return nn.Sequential(
            nn.Flatten(),
            Dense(flat(code_shape), flat(image_shape), bias=self.bias),
            *activation_layer(self.output_activation),
            nn.Unflatten(1, image_shape),
        )
