"""How well a sparse code explains images by few atoms, and whether these are the true ones."""

from __future__ import annotations

from typing import ClassVar

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
    return (trial.codes() != 0).double().mean(0)


def strongest(trial: Trial, count: int) -> tuple[Tensor, Tensor]:
    """The images for which each unit of the code has its largest values: indices and values.

    (units, count) each, fewer where there are fewer images.
    """
    values, images = trial.codes().T.topk(min(count, len(trial)), dim=1)
    return images, values


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
