"""Windows of images, enlarged."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Generator, Tensor
from torchvision.transforms.v2 import InterpolationMode, functional
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.data.augmentations.base import Augmentation, draw_integers, windows
from aecore.errors import ConfigError
from aecore.types import ImageShape


class Crop(Augmentation):
    """A window at a random place, enlarged to the size of the image by bilinear interpolation.

    size: sides of the window, in pixels or as a fraction below 1 of those of the image.
    """

    size: PositiveInt | Annotated[float, Field(gt=0, lt=1)]
    interpolates = True

    @override
    def check(self, shape: ImageShape) -> None:
        sides = shape[1:]
        window = self._window(*sides)
        if window == sides or any(w > s for w, s in zip(window, sides, strict=True)):
            have = "x".join(map(str, sides))
            what = "all" if window == sides else "larger than the images,"
            problem = f"a window of {'x'.join(map(str, window))} pixels is {what} of {have}"
            hint = {"augment.crop.size": "0.8 or another fraction"}
            raise ConfigError("augment.crop.size", self.size, problem, hint)

    def _window(self, height: int, width: int) -> tuple[int, int]:
        if isinstance(self.size, int):
            return self.size, self.size
        return max(round(self.size * height), 1), max(round(self.size * width), 1)

    @override
    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        height, width = x.shape[2:]
        h, w = self._window(height, width)
        top, left = (
            draw_integers(x, generator, height - h + 1),
            draw_integers(x, generator, width - w + 1),
        )
        enlarged: Tensor = functional.resize(
            windows(x, top, left, h, w), [height, width], InterpolationMode.BILINEAR
        )
        return enlarged
