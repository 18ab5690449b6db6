"""Between pixels and the range in which a model computes."""

from __future__ import annotations

from copy import copy
from typing import Self

import torch
from torch import Tensor, nn


class PixelRange(nn.Module):
    """The range of a model, (pixels - shift) / scale, with shift and scale as buffers.

    shift, scale: (C, 1, 1) or (1, 1, D); None keeps the pixels as they are. limits: (2,) the
    smallest and largest training pixel where they lie outside [0, 1], else None.
    """

    shift: Tensor
    scale: Tensor
    limits: Tensor | None

    def __init__(self, shift: Tensor | None, scale: Tensor | None, limits: Tensor | None) -> None:
        super().__init__()
        self.standardised = shift is not None
        self.register_buffer("shift", torch.zeros(1, 1, 1) if shift is None else shift)
        self.register_buffer("scale", torch.ones(1, 1, 1) if scale is None else scale)
        self.register_buffer("limits", limits)

    def normalise(self, x: Tensor) -> Tensor:
        """Pixels -> the model's range, in the precision of the weights."""
        return self._as_weights((x - self.shift) / self.scale) if self.standardised else x

    def denormalise(self, x: Tensor) -> Tensor:
        """The model's range -> pixels, in the precision of the statistics."""
        return x * self.scale + self.shift if self.standardised else x

    @property
    def like(self) -> Tensor:
        """A tensor on the device and of the dtype of the weights."""
        return next(self.parameters())

    def in_unit_range(self) -> Self:
        """The same model for pixels in [0, 1], to which those between its limits are scaled.

        It shares all weights. Itself where its pixels lie in [0, 1].
        """
        if self.limits is None:
            return self
        low, high = self.limits
        view = copy(self)
        view._buffers = {
            **self._buffers,
            "shift": (self.shift - low) / (high - low),
            "scale": self.scale / (high - low),
            "limits": (self.limits - low) / (high - low),
        }
        return view

    def _as_weights(self, x: Tensor) -> Tensor:
        return x.to(self.like.dtype) if self.shift.dtype == torch.float64 else x

    def _span(self) -> tuple[Tensor, Tensor]:
        low, high = (0.0, 1.0) if self.limits is None else self.limits
        ends = ((low - self.shift) / self.scale, (high - self.shift) / self.scale)
        return self._as_weights(ends[0]), self._as_weights(ends[1])
