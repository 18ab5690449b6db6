"""Convolutional encoder, transposed-convolution decoder, for images of any size."""

from __future__ import annotations

from typing import Literal

from torch import nn
from typing_extensions import override

from aecore.config.component import Probability
from aecore.errors import UserError
from aecore.model.networks.base import Halving, Norm, activation_layer, per_side, unfolded
from aecore.types import ImageShape, Shape


class Conv(Halving):
    """Halves the image once for each of `channels`; the decoder restores the exact sizes.

    down: 'stride' halves by a strided convolution, 'max' and 'average' by pooling after it.
    ceil_mode: a halving maps a side n to ceil(n / 2), else, by pooling alone, to floor(n / 2).

    A transposed convolution of kernel k, stride 2 and padding p maps a side m to
    2(m - 1) - 2p + k + output_padding; see `_restoring` for those that restore n.
    """

    down: Literal["stride", "max", "average"]
    norm: Norm | None
    dropout: Probability
    ceil_mode: bool

    def __post_init__(self) -> None:
        """Raises UserError for strided convolutions that round down."""
        if self.down == "stride" and not self.ceil_mode:
            raise UserError(
                "network.ceil_mode=false: strided convolutions round up",
                "use network.down=max or network.down=average",
            )
        self.rounds_up = self.ceil_mode

    @override
    def encoder(self, image_shape: ImageShape) -> nn.Module:
        layers: list[nn.Module] = []
        kernel, padding = self.kernel(image_shape)
        halving = per_side(image_shape, 2, 1)
        stride = halving if self.down == "stride" else (1, 1)
        for before, after in zip([image_shape[0], *self.channels], self.channels, strict=False):
            layers.append(nn.Conv2d(before, after, kernel, stride, padding, bias=self.bias))
            layers += self._after(after)
            if self.down == "max":
                layers.append(nn.MaxPool2d(halving, ceil_mode=self.ceil_mode))
            elif self.down == "average":
                layers.append(nn.AvgPool2d(halving, ceil_mode=self.ceil_mode))
        return nn.Sequential(*layers)

    @override
    def decoder(self, code_shape: Shape, image_shape: ImageShape) -> nn.Module:
        features = self.feature_shape(image_shape)
        sizes = self.sizes(image_shape)
        layers: list[nn.Module] = []
        before = features[0]
        if len(code_shape) == 3 and code_shape[1:] == features[1:]:
            before = code_shape[0]  # the code is already a feature map
        else:
            layers += unfolded(code_shape, features, bias=self.bias, activation=self.activation)
        mirrored = [*self.channels[-2::-1], image_shape[0]]
        for level, after in zip(range(len(self.channels) - 1, -1, -1), mirrored, strict=True):
            kernel, stride, padding, more = zip(*map(self._restoring, sizes[level]), strict=True)
            layers.append(
                nn.ConvTranspose2d(before, after, kernel, stride, padding, more, bias=self.bias)
            )
            layers += self._after(after) if level else activation_layer(self.output_activation)
            before = after
        return nn.Sequential(*layers)

    def _restoring(self, side: int) -> tuple[int, int, int, int]:
        """Kernel, stride, padding and output_padding that restore a side, halved unless it is 1."""
        k, odd = self.kernel_size, side % 2
        if side == 1:
            return 1, 1, 0, 0
        if self.ceil_mode:
            return k, 2, k // 2, 1 - odd
        return (k, 2, k // 2 - 1, 0) if odd else (k + 1, 2, k // 2, 0)

    def _after(self, channels: int) -> list[nn.Module]:
        layers: list[nn.Module] = []
        if self.norm is not None:
            batch = self.norm == "batch"
            layers.append(nn.BatchNorm2d(channels) if batch else nn.GroupNorm(1, channels))
        layers += activation_layer(self.activation)
        if self.dropout > 0:
            layers.append(nn.Dropout2d(self.dropout))
        return layers
