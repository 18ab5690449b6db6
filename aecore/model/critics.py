"""Words that own a critic: a network that is trained against the autoencoder, beside it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from aecore.model.networks.base import flat
from aecore.model.networks.dense import Dense
from aecore.model.passes import Model
from aecore.types import ImageShape

if TYPE_CHECKING:
    from aecore.model.passes import Pass

_SLOPE = 0.2  # of leaky units below 0, as critics have it since Radford et al. 2016


class Adversary(ABC):
    """A penalty or a reconstruction with a critic, which one optimizer trains along with the rest.

    What the critic thinks enters the word's own cost through `frozen`, so that the cost moves the
    autoencoder alone; `critic_loss` moves the critic alone. The gradients of the two touch
    different weights, so one step of one optimizer is a step of each side.

    critic: its weights are no others'. critic_lr: its learning rate, where the optimizer starts.
    """

    critic: nn.Module
    critic_lr: float

    @abstractmethod
    def attach_critic(self, model: Model) -> None:
        """Make the critic, for codes or images of that model, which stands but for its critics."""

    @abstractmethod
    def critic_loss(self, p: Pass) -> Tensor:
        """What the critic is to make small, (N,), of codes and images detached from the model."""


def frozen(module: nn.Module, *inputs: Tensor) -> Tensor:
    """What a module makes of inputs, a function of these alone: its weights get no gradient."""
    state = {name: p.detach() for name, p in module.named_parameters()}
    output: Tensor = functional_call(module, state, inputs)
    return output


def real_loss(logits: Tensor) -> Tensor:
    """-log of the probability that something is real, by its logits: of any shape."""
    return F.softplus(-logits)


def fake_loss(logits: Tensor) -> Tensor:
    """-log of the probability that something is not real, by its logits: of any shape."""
    return F.softplus(logits)


def code_critic(width: int, units: int, layers: int) -> nn.Sequential:
    """Codes (N, ...) of `width` numbers -> logits (N,), through `layers` of `units` leaky units."""
    widths = [width, *[units] * layers]
    parts: list[nn.Module] = [nn.Flatten()]
    for before, after in pairwise(widths):
        parts += [Dense(before, after), nn.LeakyReLU(_SLOPE)]
    return nn.Sequential(*parts, Dense(widths[-1], 1), nn.Flatten(0))


class ImageCritic(nn.Module):
    """Images (N, C, H, W) -> logits (N,).

    One halving by a convolution for each of `channels`; images that are too small to be halved so
    often, as tables are, take fully connected layers of `units` instead. Each layer's sums are
    normalised within the image, so that no image is judged by its neighbours.

    trunk: the first `layer` of them, with the features (N, ...) by which images are compared;
    head: the rest.
    """

    def __init__(
        self, image_shape: ImageShape, channels: Sequence[int], units: int, layer: int
    ) -> None:
        super().__init__()
        blocks, width = (
            _convolutions(image_shape, channels)
            if min(image_shape[1:]) >= 2 ** len(channels)
            else _dense(flat(image_shape), [units] * len(channels))
        )
        self.trunk = nn.Sequential(*blocks[:layer])
        self.head = nn.Sequential(*blocks[layer:], nn.Flatten(), Dense(width, 1), nn.Flatten(0))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N,)."""
        logits: Tensor = self.head(self.trunk(x))
        return logits


def _convolutions(image_shape: ImageShape, channels: Sequence[int]) -> tuple[list[nn.Module], int]:
    blocks: list[nn.Module] = []
    before, height, width = image_shape
    for after in channels:
        convolution = nn.Conv2d(before, after, 3, 2, 1)
        blocks.append(nn.Sequential(convolution, nn.GroupNorm(1, after), nn.LeakyReLU(_SLOPE)))
        before, height, width = after, -(-height // 2), -(-width // 2)
    return blocks, before * height * width


def _dense(width: int, units: Sequence[int]) -> tuple[list[nn.Module], int]:
    blocks: list[nn.Module] = []
    for after in units:
        parts = (Dense(width, after), nn.LayerNorm(after), nn.LeakyReLU(_SLOPE))
        blocks.append(nn.Sequential(nn.Flatten(), *parts))
        width = after
    return blocks, width
