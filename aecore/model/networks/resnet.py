"""Residual convolutional networks, for images of any size."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from aecore.config.component import NonNegativeInt, PositiveInt
from aecore.model.networks.base import Halving, activation_layer, per_side, unfolded
from aecore.types import ImageShape, Shape


class ResNet(Halving):
    """A halving of the image and `blocks` residual blocks for each of `channels`, mirrored.

    Blocks are those of He et al. 2016 (Identity mappings): norm, activation, convolution, twice,
    added to the input. Sides are halved, rounding up, by a strided convolution; the decoder
    upsamples by nearest neighbours to the exact side and convolves, which avoids checkerboard
    artefacts (Odena et al. 2016).

    No residual connection bypasses the code: an autoencoder with such a connection does not need
    its code.

    groups: maximum number of groups of the group norm (Wu & He 2018), reduced to a divisor of the
        channels with at least two values per group; null for no norm.
    """

    norm = None  # the group norm is not an option of `norm`

    blocks: NonNegativeInt
    groups: PositiveInt | None

    @override
    def encoder(self, image_shape: ImageShape) -> nn.Module:
        layers: list[nn.Module] = []
        places = [height * width for height, width in self.sizes(image_shape)[1:]]
        widths = [image_shape[0], *self.channels]
        (kernel, _), halving = self.kernel(image_shape), per_side(image_shape, 2, 1)
        for before, after, area in zip(widths, self.channels, places, strict=False):
            layers.append(self._convolution(before, after, kernel, halving))
            layers += self._stage(after, area, kernel)
        return nn.Sequential(*layers, *self._before(self.channels[-1], places[-1]))

    @override
    def decoder(self, code_shape: Shape, image_shape: ImageShape) -> nn.Module:
        features, (kernel, _) = self.feature_shape(image_shape), self.kernel(image_shape)
        if len(code_shape) == 3 and code_shape[1:] == features[1:]:
            layers: list[nn.Module] = [self._convolution(code_shape[0], features[0], kernel)]
        else:
            layers = unfolded(code_shape, features, bias=self.bias)
        sizes = self.sizes(image_shape)
        for level in range(len(self.channels) - 1, -1, -1):
            width = self.channels[level]
            after = self.channels[level - 1] if level else image_shape[0]
            area = sizes[level + 1][0] * sizes[level + 1][1]
            layers += self._stage(width, area, kernel)
            if not level:
                layers += self._before(width, area)
            layers += [Enlarge(sizes[level]), self._convolution(width, after, kernel)]
        return nn.Sequential(*layers, *activation_layer(self.output_activation))

    def _stage(self, width: int, area: int, kernel: tuple[int, int]) -> list[nn.Module]:
        blocks: list[nn.Module] = []
        for _ in range(self.blocks):
            half = [*self._before(width, area), self._convolution(width, width, kernel)]
            other = [*self._before(width, area), self._convolution(width, width, kernel)]
            blocks.append(Residual(*half, *other))
        return blocks

    def _before(self, width: int, area: int) -> list[nn.Module]:
        """Norm and activation of maps with `width` channels and `area` positions."""
        layers = activation_layer(self.activation)
        if self.groups is None or width * area == 1:
            return layers
        most = min(self.groups, width, width * area // 2)
        fitting = max(n for n in range(1, most + 1) if width % n == 0)
        return [nn.GroupNorm(fitting, width), *layers]

    def _convolution(
        self, before: int, after: int, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1)
    ) -> nn.Conv2d:
        padding = kernel[0] // 2, kernel[1] // 2
        return nn.Conv2d(before, after, kernel, stride, padding, bias=self.bias)


class Residual(nn.Sequential):
    """x + layers(x)."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        y: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return x + y


class Enlarge(nn.Module):
    """Nearest-neighbour upsampling to a size (H, W)."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, H, W)."""
        return F.interpolate(x, size=self.size, mode="nearest")
