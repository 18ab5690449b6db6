"""Interpolations between the codes of two images."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from matplotlib.figure import Figure
from torch import Tensor

from aecore.config.component import PositiveInt
from aecore.errors import SkippedError
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.grid import image_grid
from aecore.evaluation.trial import Trial, need_images
from aecore.model.autoencoder import Autoencoder

_PARALLEL = 1e-6  # the sine of an angle that single precision does not tell from none


class Interpolations(TrialFigure):
    """Decoded points between the codes of two test images of different classes.

    Points on the straight line or, where it leaves the set of codes, the nearest codes. A
    class-conditional model is given the class of the first image all the way.

    rows: pairs of images. steps: decoded images from code to code, both ends included.
    """

    rows: PositiveInt
    steps: PositiveInt

    def __call__(self, trial: Trial) -> Figure:
        """Draw; the images themselves stand framed at both ends.

        Raises SkippedError for a model that cannot be sampled, for tables and for one image.
        """
        if not trial.model.can_sample:
            raise SkippedError("this model's codes cannot be sampled, nor what lies between them")
        need_images(trial)
        if len(trial) < 2:
            raise SkippedError("there is only one image")
        count = 2 * min(self.rows, len(trial) // 2)
        images, labels = trial.balanced(count).tensors()
        ways = between(trial.model, images, labels, self.steps, blend)
        return image_grid(
            [*with_ends(images, ways)],
            title="Interpolations between the codes of two images" + class_note(trial.model),
            heads=heads(self.steps),
            framed=(0, self.steps + 1),
        )


def between(
    model: Autoencoder,
    images: Tensor,
    labels: Tensor | None,
    steps: int,
    path: Callable[[Tensor, Tensor, int], Tensor],
) -> Tensor:
    """Decoded codes between the images of pairs: (2 * P, C, H, W) -> (P, steps, C, H, W).

    path: `blend` or `slerp`; codes that are not valid are replaced by the nearest valid ones. A
        class-conditional model is given the class of the first image all the way.
    """
    code = model.encode(images, y=labels)
    ways = []
    for n in range(0, len(images), 2):
        z = model.latent.nearest(path(code.mean[n], code.mean[n + 1], steps))
        ways.append(model.decode(z, repeated(code.context, n, steps)))
    return torch.stack(ways)


def with_ends(images: Tensor, ways: Tensor) -> Tensor:
    """Ways (P, steps, C, H, W) with the images (2 * P, C, H, W) that they join at both ends."""
    return torch.cat([images[::2, None], ways, images[1::2, None]], dim=1)


def class_note(model: Autoencoder) -> str:
    """The part of a title about the class that a class-conditional model is given."""
    return "" if model.classes is None else ", with the class of the first"


def heads(steps: int) -> list[str]:
    """The headings above an interpolation between two images."""
    shares = [f"{share:.3g}" for share in _shares(steps).tolist()]
    return ["image", *shares, "image"]


def _shares(steps: int) -> Tensor:
    return torch.linspace(0, 1, steps) if steps > 1 else torch.tensor([0.5])


def repeated(context: tuple[Tensor, ...], n: int, times: int) -> tuple[Tensor, ...]:
    """The decoder's context of image n, repeated for so many codes: each (times, ...)."""
    return tuple(part[n].expand(times, *part[n].shape) for part in context)


def blend(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """Codes on the line from a to b, both included: (*code_shape) -> (steps, *code_shape)."""
    share = _shares(steps).to(a).reshape(-1, *[1] * a.dim())
    return (1 - share) * a + share * b


def slerp(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """Codes on the arc from a to b, both included: (*code_shape) -> (steps, *code_shape).

    The direction turns evenly and the length changes evenly. Of codes of one length, at the angle
    w, that is (sin((1 - t) w) a + sin(t w) b) / sin w (Shoemake 1985; for codes White 2016).
    Codes of one direction, of one number, and 0 are joined by a line; opposite ones, between which
    no arc is the shortest, by one that begins along the axis on which a is least.
    """
    start, end = (x.flatten().cpu().double() for x in (a, b))  # not every device has doubles
    lengths = start.norm(), end.norm()
    if start.numel() == 1 or min(lengths) == 0:
        return blend(a, b, steps)
    one, other = start / lengths[0], end / lengths[1]
    along = one @ other
    across = other - along * one
    if across.norm() < _PARALLEL:
        if along > 0:
            return blend(a, b, steps)
        across = torch.zeros_like(one)
        across[one.abs().argmin()] = 1
        across -= (one @ across) * one
        angle = torch.tensor(math.pi)
    else:
        angle = torch.atan2(across.norm(), along)
    share = _shares(steps).to(start)[:, None]
    turned = torch.cos(share * angle) * one + torch.sin(share * angle) * across / across.norm()
    way = ((1 - share) * lengths[0] + share * lengths[1]) * turned
    codes: Tensor = way.to(a)
    return codes.reshape(-1, *a.shape)
