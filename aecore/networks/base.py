"""What every network promises."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

from torch import nn

from aecore.errors import UserError
from aecore.types import ImageShape, Shape

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "sigmoid", "tanh"]
Norm = Literal["batch", "layer"]

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
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
    return [] if name is None else [_ACTIVATIONS[name]()]


class Network(ABC):
    """A recipe for an encoder and the decoder that mirrors it; shapes come from the data.

    The encoder ends in features, the decoder starts from a code: what lies between belongs to
    the latent.

    output_activation: what stands at the decoder's end, None for nothing.
    norm: None, 'batch' or 'layer'.
    needs_context: whether the encoder returns (features, context) and the decoder takes (code,
        context): something that passes by the code, without which nothing can be decoded.
    """

    output_activation: Activation | None
    norm: Norm | None
    needs_context: bool = False

    @abstractmethod
    def feature_shape(self, image_shape: ImageShape) -> Shape:
        """Shape of one image's features; raises UserError where the image is too small."""

    @abstractmethod
    def encoder(self, image_shape: ImageShape) -> nn.Module:
        """A module (N, C, H, W) -> (N, *feature_shape)."""

    @abstractmethod
    def decoder(self, code_shape: Shape, image_shape: ImageShape) -> nn.Module:
        """A module (N, *code_shape) -> (N, C, H, W)."""


def flat(shape: Shape) -> int:
    """How many numbers a shape holds."""
    return math.prod(shape)


def halvings(
    image_shape: ImageShape, channels: list[int], *, round_up: bool
) -> list[tuple[int, int]]:
    """(H, W) before the first halving, after it, after the second, ...; one for each channel count.

    Raises UserError where a side of 1 would have to be halved.
    """
    sizes = [image_shape[1:]]
    for _ in channels:
        height, width = sizes[-1]
        if min(height, width) < 2:
            raise UserError(
                f"network.channels={channels}: {len(channels)} halvings do not fit images of "
                f"{image_shape[1]}x{image_shape[2]}\n"
                "  give fewer channels, larger images, or network=mlp"
            )
        more = 1 if round_up else 0
        sizes.append(((height + more) // 2, (width + more) // 2))
    return sizes
