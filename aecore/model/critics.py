"""Components with a critic: a network that is trained against the autoencoder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from aecore.model.networks.base import flat
from aecore.model.networks.dense import Dense
from aecore.model.passes import Model, Pass
from aecore.types import ImageShape

_SLOPE = 0.2  # negative slope of leaky ReLUs, as in Radford et al. 2016


class Adversary(ABC):
    """A penalty or a reconstruction with a critic, trained by the optimizer of the model.

    The output of the critic enters the cost of the component through `frozen`, so that this cost
    has gradients for the autoencoder only; `critic_loss` has gradients for the critic only. One
    step of the optimizer is therefore a step of both.

    critic: a module with weights of its own. critic_lr: its initial learning rate.
    """

    critic: nn.Module
    critic_lr: float

    @abstractmethod
    def connect(self, model: Model) -> None:
        """Create the critic for codes or images of a model that is complete except its critics."""

    @abstractmethod
    def critic_loss(self, p: Pass) -> Tensor:
        """The loss of the critic, (N,), on codes and images detached from the model."""


def frozen(module: nn.Module, *inputs: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The output of a module with constant weights: gradients flow to the inputs only."""
    state = {name: p.detach() for name, p in module.named_parameters()}
    output: Tensor = functional_call(module, state, inputs)
    return output


def real_loss(logits: Tensor) -> Tensor:
    """Negative log probability of `real`, elementwise for logits of any shape."""
    return F.softplus(-logits)


def fake_loss(logits: Tensor) -> Tensor:
    """Negative log probability of `fake`, elementwise for logits of any shape."""
    return F.softplus(logits)


def code_critic(width: int, units: int, layers: int) -> nn.Sequential:
    """Codes (N, ...) of `width` values -> logits (N,), with `layers` of `units` leaky ReLUs."""
    widths = [width, *[units] * layers]
    parts: list[nn.Module] = [nn.Flatten()]
    for before, after in pairwise(widths):
        parts += [Dense(before, after), nn.LeakyReLU(_SLOPE)]
    return nn.Sequential(*parts, Dense(widths[-1], 1), nn.Flatten(0))


class ImageCritic(nn.Module):
    """Images (N, C, H, W) -> logits (N,).

    A convolution of stride 2 for each of `channels`; for images too small for so many, such as
    tables, fully connected layers of `units` instead. Activations are normalised per image, so
    that logits do not depend on the other images of a batch.

    trunk: the first `layer` layers, which compute the features (N, ...) for comparing images.
    head: the other layers.
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
