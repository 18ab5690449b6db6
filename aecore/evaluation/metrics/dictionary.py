"""How well a sparse code explains images by few atoms, and whether these are the true ones."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from aecore.config.component import Probability
from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.reported import Reported
from aecore.evaluation.trial import Trial
from aecore.model.autoencoder import Autoencoder
from aecore.model.networks.base import flat


class DictionaryMetric(Metric):
    """The sparsity of the mean codes of all images, and what they explain.

    `dictionary/l0`: values that are not 0, of an image. `dictionary/explained_variance`: 1 minus
    the squared error of reconstructions over that of the mean image, in the model's range.
    `dictionary/dead`: the share of units that are 0 for all images. `dictionary/density`: the
    median share of images for which one of the other units is not 0. `dictionary/recovered`, of
    data whose features are known (dataset=superposition): the share of features to whose direction
    an atom has a cosine above `cosine` (Sharkey et al. 2022); an atom is what a unit of code adds
    to the decoded image.
    """

    reports: ClassVar = {
        "dictionary/l0": Reported(),
        "dictionary/explained_variance": Reported(True, "at most 1"),
        "dictionary/dead": Reported(False, "of all units"),
        "dictionary/density": Reported(),
        "dictionary/recovered": Reported(True, "of the features"),
    }

    cosine: Probability

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Applies to every model; `recovered` is left out where no features are known."""
        shares = densities(trial)
        live = shares[shares > 0]
        values = {
            "l0": float(shares.sum()),
            "explained_variance": _explained(trial),
            "dead": float((shares == 0).double().mean()),
            "density": float(live.median()) if len(live) else 0.0,
        }
        true = trial.images.atoms
        if true is not None and not trial.model.needs_context:
            values["recovered"] = recovered(atoms(trial.model), true, self.cosine)
        return {f"dictionary/{name}": value for name, value in values.items()}


def densities(trial: Trial) -> Tensor:
    """For which share of the images each value of the mean code is not 0, (units,) float64."""
    counts = sum((codes != 0).sum(0) for codes in _codes(trial))
    assert isinstance(counts, Tensor)
    return counts.cpu().double() / len(trial)


class Strongest(NamedTuple):
    """The images for which a unit has the largest values: indices and values, (units, count)."""

    images: Tensor
    values: Tensor


def strongest(trial: Trial, count: int) -> Strongest:
    """The `count` images of each unit of the flattened mean code, fewer where there are fewer."""
    best, images, first = torch.empty(0), torch.empty(0, dtype=torch.int64), 0
    for codes in _codes(trial):
        index = torch.arange(first, first + len(codes), device=codes.device)
        first += len(codes)
        values, index = codes.T, index.expand(codes.shape[1], -1)
        if best.numel():
            values, index = torch.cat([best, values], 1), torch.cat([images, index], 1)
        best, places = values.topk(min(count, values.shape[1]), dim=1)
        images = index.gather(1, places)
    return Strongest(images.cpu(), best.cpu())


def _codes(trial: Trial) -> list[Tensor]:
    return [trial.model.encode(x, y=y).mean.flatten(1) for x, y in trial.batches()]


def atoms(model: Autoencoder) -> Tensor:
    """What each unit of a code adds to the decoded image where all others are 0, (units, pixels).

    Of a linear decoder its columns. A class-conditional model decodes the first class.
    """
    size = flat(model.code_shape)
    units = torch.cat([torch.zeros(1, size), torch.eye(size)]).to(model.like)
    y = torch.zeros(len(units), dtype=torch.int64, device=units.device)
    images = model.decode(units.view(-1, *model.code_shape), model.label_context(y)).flatten(1)
    return (images[1:] - images[:1]).cpu()


def recovered(learned: Tensor, true: Tensor, cosine: float) -> float:
    """The share of `true` directions (K, D) with a larger cosine to one of `learned` (units, D)."""
    cosines = normalize(true.double(), dim=1) @ normalize(learned.double(), dim=1).T
    return float((cosines.amax(1) > cosine).double().mean())


def _explained(trial: Trial) -> float:
    """1 - squared error / squared distance to the mean image, in the model's range."""
    model, error = trial.model, 0.0
    total, squares = torch.zeros(()), 0.0
    for x, y, target in trial.pairs():
        pixels = model.normalise(target).double()
        error += float((model.normalise(model.reconstruct(x, y)).double() - pixels).square().sum())
        total = total + pixels.sum(0).cpu()
        squares += float(pixels.square().sum())
    variance = squares - float(total.square().sum()) / len(trial)
    return 1 - error / variance if variance > 0 else 0.0
