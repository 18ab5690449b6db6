"""Gaussian codes of feature maps."""

from __future__ import annotations

from dataclasses import replace

from torch import Generator, Tensor, nn
from typing_extensions import override

from aecore.config.component import PositiveInt, component
from aecore.model.codes import Code
from aecore.model.latents.base import Latent, need_map
from aecore.model.latents.gaussian import GaussianLatent
from aecore.types import Shape


class GaussianMap(GaussianLatent):
    """A Gaussian of `channels` dimensions at each position of the feature map (channels, H, W)."""

    @component
    def __init__(self, *, channels: PositiveInt) -> None:
        Latent.__init__(self)
        self.channels = channels

    @override
    def attach(self, feature_shape: Shape) -> Shape:
        height, width = need_map(feature_shape, "gaussian_map", "gaussian")
        convolution = nn.Conv2d(feature_shape[0], 2 * self.channels, 1)
        # the means of all positions, then the log-variances
        self.project = nn.Sequential(convolution, nn.Flatten())
        self.code_shape = self.channels, height, width
        return self.code_shape

    @override
    def forward(self, h: Tensor, generator: Generator | None, sample: bool) -> Code:
        code = super().forward(h, generator, sample)
        shape = (-1, *self.code_shape)
        return replace(code, z=code.z.view(shape), mean=code.mean.view(shape))
