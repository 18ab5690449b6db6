"""The base classes of networks."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Annotated, Literal

from pydantic import Field
from torch import nn
from typing_extensions import override

from aecore.config.component import Component, PositiveInt
from aecore.errors import ConfigError
from aecore.model.networks.dense import Dense
from aecore.model.passes import Model
from aecore.types import ImageShape, Shape

Sides = tuple[int, int]  # along (H, W)
Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "sigmoid", "tanh"]
Norm = Literal["batch", "layer"]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}


def activation_layer(name: Activation | None) -> list[nn.Module]:
    """The layer of that name, as a list to splice into a `Sequential`; empty for None."""
    return [] if name is None else [ACTIVATIONS[name]()]


class Network(Component, ABC, options=False):
    """Builds an encoder and the mirrored decoder for the shape of the data.

    The output of the encoder are features, the input of the decoder is a code; the projection
    between them is part of the latent.

    output_activation: the last layer of the decoder, None for no activation.
    norm: None, 'batch' or 'layer'.
    needs_context: whether the encoder returns (features, context) and the decoder takes (code,
        context), so that codes cannot be decoded without the context of an image.
    side_multiple: images whose sides differ by multiples of it have the same layers, as far as
        these are convolutional; 0 where layers depend on the size.
    """

    output_activation: Activation | None
    norm: Norm | None
    needs_context: bool = False

    @property
    def side_multiple(self) -> int:
        """See above."""
        return 0

    @abstractmethod
    def feature_shape(self, image_shape: ImageShape) -> Shape:
        """Shape of one image's features; raises ConfigError if the image is too small."""

    @abstractmethod
    def encoder(self, image_shape: ImageShape) -> nn.Module:
        """A module (N, C, H, W) -> (N, *feature_shape)."""

    @abstractmethod
    def decoder(self, code_shape: Shape, image_shape: ImageShape) -> nn.Module:
        """A module (N, *code_shape) -> (N, C, H, W)."""

    def connect(self, model: Model) -> None:
        """Let encoder, latent and decoder of a model share weights.

        Raises UserError where they cannot.
        """
        return None


class Halving(Network):
    """Networks that halve the image once for each of `channels`, the number of channels after it.

    Of series (C, 1, T) the layers are those of one dimension, along T: a side of length 1 is
    neither halved nor padded, and kernels have the length 1 there.

    rounds_up: whether a side of n becomes ceil(n / 2), else floor(n / 2).
    """

    rounds_up = True

    channels: Annotated[list[PositiveInt], Field(min_length=1)]
    kernel_size: Literal[3, 5, 7]
    activation: Activation | None
    output_activation: Activation | None
    bias: bool

    @property
    @override
    def side_multiple(self) -> int:
        return 1 << len(self.channels)

    def sizes(self, image_shape: ImageShape) -> list[Sides]:
        """(H, W) before the first halving, after it, after the second, ...

        Raises ConfigError if a side that halvings have made 1 would have to be halved.
        """
        strides = per_side(image_shape, 2, 1)
        more = [(stride - 1) * self.rounds_up for stride in strides]
        sizes = [image_shape[1:]]
        for _ in self.channels:
            height, width = sizes[-1]
            if max(strides) == 1 or height < strides[0] or width < strides[1]:
                problem = f"{len(self.channels)} halvings do not fit "
                problem += f"images of {image_shape[1]}x{image_shape[2]}"
                hint = "give fewer channels, larger images, or network=mlp"
                raise ConfigError("network.channels", self.channels, problem, hint)
            sizes.append(((height + more[0]) // strides[0], (width + more[1]) // strides[1]))
        return sizes

    @override
    def feature_shape(self, image_shape: ImageShape) -> Shape:
        return (self.channels[-1], *self.sizes(image_shape)[-1])

    def kernel(self, image_shape: ImageShape) -> tuple[Sides, Sides]:
        """Kernel and padding of convolutions that keep the size."""
        size = self.kernel_size
        return per_side(image_shape, size, 1), per_side(image_shape, size // 2, 0)


def per_side(image_shape: ImageShape, value: int, of_one: int) -> Sides:
    """`value` for each side (H, W) of an image, `of_one` for a side of length 1."""
    height, width = (of_one if side == 1 else value for side in image_shape[1:])
    return height, width


def unfolded(
    code_shape: Shape, features: Shape, *, bias: bool, activation: Activation | None = None
) -> list[nn.Module]:
    """The first layers of a decoder, from a code (*code_shape) to a feature map (*features)."""
    return [
        nn.Flatten(),
        Dense(flat(code_shape), flat(features), bias=bias),
        *activation_layer(activation),
        nn.Unflatten(1, features),
    ]


def flat(shape: Shape) -> int:
    """The number of elements of a shape."""
    return math.prod(shape)
