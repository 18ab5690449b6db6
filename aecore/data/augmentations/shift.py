"""Images moved by whole pixels."""

from __future__ import annotations

from torch import Generator, Tensor
from torchvision.transforms.v2 import functional
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.data.augmentations.base import Augmentation, Padding, draw_integers, windows
from aecore.errors import ConfigError
from aecore.types import ImageShape


class Translate(Augmentation):
    """Moved by whole pixels, up or down and left or right, each way from -pixels to pixels.

    The random crop of a padded image of He et al. 2016 (CVPR), section 4.2.

    pixels: the longest way. padding: what moves in from outside, 0, the border or the mirror image.
    """

    pixels: PositiveInt
    padding: Padding

    @override
    def check(self, shape: ImageShape) -> None:
        if self.pixels >= min(shape[1:]):
            size = "x".join(map(str, shape[1:]))
            problem = f"moves images of {size} pixels out of sight"
            largest = min(shape[1:]) - 1
            hint = {"augment.shift.pixels": f"{largest} or less"} if largest else None
            raise ConfigError("augment.shift.pixels", self.pixels, problem, hint)

    @override
    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        padded = functional.pad(x, [self.pixels], padding_mode=self.padding)
        down, right = (draw_integers(x, generator, 2 * self.pixels + 1) for _ in range(2))
        return windows(padded, down, right, *x.shape[2:])
