"""Structural similarity of luminance, contrast and structure."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.errors import UserError
from aecore.model.passes import Model
from aecore.model.reconstruction.base import Reconstruction
from aecore.model.reconstruction.bernoulli import need_logits

# exponents of Wang et al. 2003, finest scale first
_SHARES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

Window = Literal[3, 5, 7, 9, 11, 13, 15]


class _Similarity(Reconstruction):
    """1 - similarity, times the number of values of an image, to be on the scale of other costs.

    The decoder's output are logits, as these measures are not valid outside [0, 1]. Not a
    likelihood, so there is no ELBO.
    """

    likelihood = False

    window: Window

    @abstractmethod
    def similarity(self, output: Tensor, x: Tensor, options: dict[str, Any]) -> Any:
        """The similarity, at most 1, (N,). options: for torchmetrics."""

    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        return self.between(self.image(output.to(x.dtype)), x)

    @override
    def between(self, image: Tensor, x: Tensor) -> Tensor:
        options = {
            "sigma": 1.5 * self.window / 11,
            "kernel_size": self.window,
            "data_range": 1.0,
            "reduction": "none",
        }
        with torch.autocast(x.device.type, enabled=False):  # differences of squares
            likeness: Tensor = self.similarity(image.to(x.dtype), x, options)
        return x[0].numel() * (1 - likeness)

    def image(self, output: Tensor) -> Tensor:
        return output.sigmoid()


class SSIM(_Similarity):
    """(1 - SSIM) * values, per image (Wang et al. 2004, eq. 13, the constants of its page 605).

    window: its Gaussian window, an odd number of pixels; 11 (deviation 1.5) is the paper's, and
    others are scaled in proportion. Pixels must be in [0, 1]. Windows that overlap the border
    count, unlike in the metric: without them the negative of an image could be learned.
    """

    name = "ssim"

    @override
    def similarity(self, output: Tensor, x: Tensor, options: dict[str, Any]) -> Any:
        from torchmetrics.functional.image import structural_similarity_index_measure  # slow

        return structural_similarity_index_measure(output, x, **options)

    @override
    def check(self, model: Model) -> None:
        _check(model, self, scales=1)


class MSSSIM(_Similarity):
    """(1 - MS-SSIM) * values, per image (Wang et al. 2003, eq. 7), over halved sizes.

    Terms s are mapped to (s + 1) / 2, so that powers of negative ones have a gradient.

    window: as in `ssim`. scales: number of sizes, with the first of the paper's 5 exponents,
    scaled to sum to 1. Pixels must be in [0, 1].
    """

    name = "ms_ssim"

    scales: Annotated[PositiveInt, Field(le=5)]

    @override
    def similarity(self, output: Tensor, x: Tensor, options: dict[str, Any]) -> Any:
        shares = _SHARES[: self.scales]
        betas = tuple(share / sum(shares) for share in shares)
        from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

        return multiscale_structural_similarity_index_measure(
            output, x, betas=betas, normalize="simple", **options
        )

    @override
    def check(self, model: Model) -> None:
        _check(model, self, self.scales)


def _check(model: Model, loss: _Similarity, scales: int) -> None:
    """Raise UserError if images are not in [0, 1], or too small for window and scales."""
    name, window = loss.name, loss.window
    if model.reconstruction is loss:
        need_logits(model, name)
    else:
        _need_unit_image(model, name)
    height, width = model.image_shape[1:]
    # the limits of torchmetrics, and room for reflection padding at the smallest size
    needed = max(window * max(scales - 1, 1) ** 2, 2**scales, (window + 1) * 2**scales // 4)
    if min(height, width) < needed:
        path = f"reconstruction.{name}"
        fewer = "" if scales == 1 else f", fewer {path}.scales"
        smaller = f"use a smaller {path}.window (3 or more){fewer}, or "
        raise UserError(
            f"{path}.window={window}: it needs images of {needed}x{needed}, "
            f"these are {height}x{width}",
            f"{smaller if min(height, width) > 2 else 'use '}reconstruction=mse",
        )


def _need_unit_image(model: Model, name: str) -> None:
    """Raise UserError unless the image that the first term decodes to lies in [0, 1]."""
    ends = model.reconstruction.image(torch.tensor([-100.0, 100.0], device="cpu"))
    bounded = model.output_activation == "sigmoid" or bool(((ends >= 0) & (ends <= 1)).all())
    if model.standardised or not bounded:
        raise UserError(
            f"reconstruction={name}: it compares pixels in [0, 1], and nothing bounds this image",
            "use network.output_activation=sigmoid dataset.range=unit, or bernoulli as the first",
        )
