"""Max pooling, and unpooling to the positions of the maxima."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from aecore.model.networks.base import Halving, activation_layer, per_side, unfolded
from aecore.types import ImageShape, Shape


class ConvUnpool(Halving):
    """Convolutions and 2x2 max pooling; the decoder unpools to the positions of the maxima.

    The positions are the context of a code (Zeiler et al. 2011, "switches"), without which it
    cannot be decoded: such a model reconstructs and denoises but cannot be sampled.

    up: the layer after each unpooling, a 'conv' or a 'transposed' convolution of stride 1.
    """

    norm = None
    needs_context = True
    rounds_up = False

    up: Literal["conv", "transposed"]

    @override
    def encoder(self, image_shape: ImageShape) -> nn.Module:
        kernel, padding = self.kernel(image_shape)
        widths = zip([image_shape[0], *self.channels], self.channels, strict=False)
        stages = [
            nn.Sequential(
                nn.Conv2d(before, after, kernel, padding=padding, bias=self.bias),
                *activation_layer(self.activation),
            )
            for before, after in widths
        ]
        return PoolingEncoder(stages, per_side(image_shape, 2, 1))

    @override
    def decoder(self, code_shape: Shape, image_shape: ImageShape) -> nn.Module:
        features = self.feature_shape(image_shape)
        start: list[nn.Module] = []
        if code_shape != features:
            start = unfolded(code_shape, features, bias=self.bias, activation=self.activation)
        kernel, padding = self.kernel(image_shape)
        kind = nn.Conv2d if self.up == "conv" else nn.ConvTranspose2d
        stages = []
        for level in range(len(self.channels) - 1, -1, -1):
            after = self.channels[level - 1] if level else image_shape[0]
            last = activation_layer(self.activation if level else self.output_activation)
            convolution = kind(self.channels[level], after, kernel, padding=padding, bias=self.bias)
            stages.append(nn.Sequential(convolution, *last))
        sizes = self.sizes(image_shape)[-2::-1]
        return UnpoolingDecoder(start, stages, sizes, per_side(image_shape, 2, 1))


class PoolingEncoder(nn.Module):
    """(N, C, H, W) -> features and, for each pooling by `window`, the positions of the maxima."""

    def __init__(self, stages: Sequence[nn.Module], window: tuple[int, int]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.window = window

    @override
    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        places = []
        for stage in self.stages:
            x, index = F.max_pool2d(stage(x), self.window, return_indices=True)
            places.append(index)
        return x, tuple(places)


class UnpoolingDecoder(nn.Module):
    """A code and the positions of the maxima -> (N, C, H, W)."""

    def __init__(
        self,
        start: Sequence[nn.Module],
        stages: Sequence[nn.Module],
        sizes: list[tuple[int, int]],
        window: tuple[int, int],
    ) -> None:
        super().__init__()
        self.window = list(window)
        self.start = nn.Sequential(*start)
        self.stages = nn.ModuleList(stages)
        self.sizes = sizes

    @override
    def forward(self, z: Tensor, context: tuple[Tensor, ...]) -> Tensor:
        z = self.start(z)
        for stage, index, size in zip(self.stages, reversed(context), self.sizes, strict=True):
            z = stage(F.max_unpool2d(z, index, self.window, output_size=list(size)))
        return z
