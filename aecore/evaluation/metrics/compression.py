"""What a code costs to store beside its image."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from aecore.data.split import Split
from aecore.errors import SkippedError
from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.metrics.images import squared_error
from aecore.evaluation.reported import Reported
from aecore.evaluation.trial import Trial
from aecore.model.networks.base import flat
from aecore.types import is_table

_FLOAT = 32  # bits of a latent dimension as it is
_GREY = 8  # bits of a stored pixel value


class Compression(Metric):
    """What the code needs in bits, as float32 and quantised to `bits` per latent dimension.

    `compression` is `bits_per_image` over `bits_per_code` (float32), `quantised_compression` the
    same for a code with `bits` for each latent dimension. `quantised_mse` is the error per pixel of
    the test images decoded from such codes, on [0, 1] like `mse`.

    Codes are quantised uniformly: each dimension has 2^bits levels from its least to its largest
    value over the training images, and what lies outside becomes the nearest of them. All values
    of a spatial code count. A pixel value takes 8 bits, 1 where the test images hold only 0 and
    1, and 32 in a table of floats; the class of a class-conditional model is part of the code and
    takes the log2 of the number of classes. Nothing is entropy coded.

    A discrete code takes the log2 of the number of codebook entries for each of its indices, and
    is not quantised.
    """

    reports: ClassVar = {
        "compression": Reported(True),
        "quantised_compression": Reported(True),
        "quantised_mse": Reported(False, "per pixel, on [0, 1]", "per feature"),
        "bits_per_image": Reported(),
        "bits_per_code": Reported(),
    }

    bits: Annotated[int, Field(ge=1, le=16)]

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Raises SkippedError where the decoder needs more than the code."""
        model = trial.model
        if model.needs_context:
            raise SkippedError("the decoder needs the places of the maxima too, which cost bits")
        aside = 0.0 if model.classes is None else math.log2(model.classes)
        image = flat(model.image_shape) * pixel_bits(trial.images)
        if model.latent.codebook_size is not None:
            x, y = trial.sample(1).tensors()
            indices = model.encode(x, y=y).indices
            assert indices is not None, "a discrete code has indices"
            bits = indices[0].numel() * math.log2(model.latent.codebook_size) + aside
            return {
                "compression": image / bits,
                "bits_per_image": float(image),
                "bits_per_code": bits,
            }
        size = flat(model.code_shape)
        low, high = _range(trial)
        total = 0.0
        for x, y, target in trial.pairs():
            code = model.encode(x, y=y)
            z = quantise(code.mean, low, high, self.bits)
            total += float(squared_error(model.decode(z, code.context), target).double().sum())
        return {
            "compression": image / (_FLOAT * size + aside),
            "quantised_compression": image / (self.bits * size + aside),
            "quantised_mse": total / len(trial),
            "bits_per_image": float(image),
            "bits_per_code": _FLOAT * size + aside,
        }


def pixel_bits(split: Split) -> int:
    """Bits that a stored pixel value takes: 1, 8, or 32 in tables of floats."""
    white = 1 if split.images.is_floating_point() else 255
    if all(bool(((part == 0) | (part == white)).all()) for part in split.parts(split.part_size)):
        return 1
    table = is_table(split.image_shape)
    return _FLOAT if table and split.images.is_floating_point() else _GREY


def quantise(z: Tensor, low: Tensor, high: Tensor, bits: int) -> Tensor:
    """Codes (N, ...) at the nearest of 2^bits levels from low to high (...) in each dimension."""
    step = (high - low) / (2**bits - 1)
    level = ((z - low) / torch.where(step > 0, step, 1)).round()
    quantised: Tensor = low + level.clamp(0, 2**bits - 1) * step
    return quantised


def _range(trial: Trial) -> tuple[Tensor, Tensor]:
    """The least and the largest value of each dimension over the training images."""
    ends = []
    for x, y in trial.on(trial.training).batches():
        mean = trial.model.encode(x, y=y).mean
        ends.append((mean.amin(0), mean.amax(0)))
    low, high = (torch.stack(values) for values in zip(*ends, strict=True))
    return low.amin(0), high.amax(0)
