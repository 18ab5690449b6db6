"""What codes cost in bits, and how far the images made of them are from those encoded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from aecore.evaluation.metrics.images import psnr, squared_error
from aecore.model.autoencoder import Autoencoder
from aecore.model.networks.base import flat
from aecore.tasks.compressing.tables import Grid, Tables, deviation

Batches = Callable[[], Iterable[tuple[Tensor, Tensor | None]]]
_FLOAT = 32


@dataclass(frozen=True)
class Row:
    """A way to store images.

    fixed: bits an image where every number takes as many as any other, None where there is no
        such way. coded: with an entropy coder, None for a way that has none.
    mse: mean squared error per pixel on [0, 1], 0 without loss. step: of a quantised code, in
    standard deviations.
    """

    name: str
    fixed: float | None
    coded: float | None
    mse: float
    step: float | None = None

    @property
    def bits(self) -> float:
        """An image, the less of the two."""
        return min(bits for bits in (self.fixed, self.coded) if bits is not None)

    @property
    def psnr(self) -> float:
        """In dB, infinite without loss."""
        return psnr(self.mse)


def code_rows(
    model: Autoencoder,
    images: Batches,
    training: Batches,
    steps: Sequence[float],
    generator: Generator,
) -> list[Row]:
    """The code's rows, the mean code as it is last.

    Codes of numbers are rounded to multiples of each step; code words are stored as they are. How
    often each is seen is counted in the training images. A variational code comes drawn too: its
    KL to the prior is what bits-back coding takes (Hinton & van Camp 1993; Townsend et al. 2019).

    images, training: pixels (n, C, H, W) and labels (n,) on the model's device, batch by batch.
    """
    aside = 0.0 if model.classes is None else math.log2(model.classes)  # the class is told too
    if model.latent.codes is None:
        rows = _quantised(model, images, training, steps)
    else:
        rows = [_words(model, images, training)]
    if model.latent.variational:
        rows.append(_drawn(model, images, generator))
    mse = distortion(model, images, _codes(model, images))
    rows.append(Row("as it is, float32", _FLOAT * flat(model.code_shape), None, mse))
    return [_dearer(row, aside) for row in rows]


def distortion(model: Autoencoder, images: Batches, codes: Tensor) -> float:
    """Mean squared error per pixel of images decoded from codes (N, D), one an image."""
    total, start = 0.0, 0
    for x, y in images():
        z = codes[start : start + len(x)].to(x.device).view(-1, *model.code_shape)
        made = model.decode(model.latent.nearest(z), model.label_context(y))
        total += float(squared_error(made, x).double().sum())
        start += len(x)
    return total / start


def _codes(model: Autoencoder, images: Batches) -> Tensor:
    """Mean codes (N, D) float32 on the CPU."""
    return torch.cat([model.encode(x, y=y).mean.flatten(1).float().cpu() for x, y in images()])


def _indices(model: Autoencoder, images: Batches) -> Tensor:
    """Which words codes are made of, (N, ...) int64 on the CPU."""
    found = [model.encode(x, y=y).indices for x, y in images()]
    return torch.cat([indices.cpu() for indices in found if indices is not None])


def _quantised(
    model: Autoencoder, images: Batches, training: Batches, steps: Sequence[float]
) -> list[Row]:
    z, known = _codes(model, images), _codes(model, training)
    unit, rows = deviation(known), []
    for step in sorted(steps, reverse=True):
        grid = Grid(step * unit, known)
        numbers = grid.numbers(z)
        mse = distortion(model, images, grid.codes(numbers))
        length = float(grid.tables.length(numbers).mean())
        rows.append(Row(f"rounded, step {step:g}", grid.tables.fixed, length, mse, step))
    return rows


def _words(model: Autoencoder, images: Batches, training: Batches) -> Row:
    latent = model.latent
    assert latent.codes is not None
    indices, known = _indices(model, images), _indices(model, training).flatten(1)
    low = torch.zeros(known.shape[1], dtype=torch.int64)
    tables = Tables(known, low, low + latent.codes - 1, shared=latent.shared_codes)
    parts = [latent.decode_indices(part.to(model.shift.device)).flatten(1).cpu()
             for part in torch.split(indices, 512)]  # fmt: skip
    mse = distortion(model, images, torch.cat(parts))
    length = float(tables.length(indices.flatten(1)).mean())
    return Row("code words", tables.fixed, length, mse)


def _drawn(model: Autoencoder, images: Batches, generator: Generator) -> Row:
    prior, nats, error, count = model.prior_density, 0.0, 0.0, 0
    for x, y in images():
        code = model.encode(x, generator, y)
        nats += float(prior.kl(code).double().sum())
        error += float(squared_error(model.decode(code.z, code.context), x).double().sum())
        count += len(x)
    return Row("drawn, bits back", None, nats / count / math.log(2), error / count)


def _dearer(row: Row, bits: float) -> Row:
    def add(value: float | None) -> float | None:
        return None if value is None else value + bits

    return Row(row.name, add(row.fixed), add(row.coded), row.mse, row.step)
