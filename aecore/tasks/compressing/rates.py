"""The bits of codes, and the error of the images decoded from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from aecore.evaluation.metrics.images import psnr, squared_error
from aecore.evaluation.trial import Trial
from aecore.model.networks.base import flat
from aecore.tasks.compressing.tables import Grid, Tables, deviation

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


def code_rows(trial: Trial, training: Trial, steps: Sequence[float]) -> list[Row]:
    """The code's rows, the mean code as it is last.

    Continuous codes are rounded to multiples of each step; the indices of discrete ones are stored
    as they are. Their frequencies are counted in the training images. A variational code comes
    drawn too: its KL to the prior is what bits-back coding takes (Hinton & van Camp 1993; Townsend
    et al. 2019).

    trial: with the images to be stored. training: the same model with training images.
    """
    model = trial.model
    aside = 0.0 if model.classes is None else math.log2(model.classes)  # of the class
    if model.latent.codebook_size is None:
        rows = _quantised(trial, training, steps)
    else:
        rows = [_entries(trial, training)]
    if model.latent.variational:
        rows.append(_drawn(trial))
    mse = distortion(trial, trial.codes().float())
    rows.append(Row("as it is, float32", _FLOAT * flat(model.code_shape), None, mse))
    return [_with_bits(row, aside) for row in rows]


def distortion(trial: Trial, codes: Tensor) -> float:
    """Mean squared error per pixel of images decoded from codes (N, D), one per image.

    Rounded codes become possible ones; those of a codebook are.
    """
    model, total, start = trial.model, 0.0, 0
    for x, y, target in trial.pairs():
        z = codes[start : start + len(x)].to(x.device).view(-1, *model.code_shape)
        z = model.latent.nearest(z) if model.latent.codebook_size is None else z
        made = model.decode(z, model.label_context(y))
        total += float(squared_error(made, target).double().sum())
        start += len(x)
    return total / start


def _quantised(trial: Trial, training: Trial, steps: Sequence[float]) -> list[Row]:
    z, known = trial.codes().float(), training.codes().float()
    unit, rows = deviation(known), []
    for step in sorted(steps, reverse=True):
        grid = Grid(step * unit, known)
        numbers = grid.numbers(z)
        mse = distortion(trial, grid.codes(numbers))
        length = float(grid.tables.length(numbers).mean())
        rows.append(Row(f"rounded, step {step:g}", grid.tables.fixed, length, mse, step))
    return rows


def _entries(trial: Trial, training: Trial) -> Row:
    latent = trial.model.latent
    assert latent.codebook_size is not None
    indices, known = trial.indices(), training.indices()
    low = torch.zeros(known.shape[1], dtype=torch.int64)
    tables = Tables(known, low, low + latent.codebook_size - 1, shared=latent.shared_codebook)
    parts = [latent.decode_indices(part.to(trial.device)).flatten(1).cpu()
             for part in torch.split(indices, 512)]  # fmt: skip
    mse = distortion(trial, torch.cat(parts))
    length = float(tables.length(indices).mean())
    return Row("codebook entries", tables.fixed, length, mse)


def _drawn(trial: Trial) -> Row:
    model, generator = trial.model, trial.generator()
    prior, nats, error, count = model.prior_density, 0.0, 0.0, 0
    for x, y, target in trial.pairs():
        code = model.encode(x, generator, y)
        nats += float(prior.kl(code).double().sum())
        error += float(squared_error(model.decode(code.z, code.context), target).double().sum())
        count += len(x)
    return Row("drawn, bits back", None, nats / count / math.log(2), error / count)


def _with_bits(row: Row, bits: float) -> Row:
    fixed, coded = (None if b is None else b + bits for b in (row.fixed, row.coded))
    return replace(row, fixed=fixed, coded=coded)
