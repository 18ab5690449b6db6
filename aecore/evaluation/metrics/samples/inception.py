"""The Frechet inception distance, for images that are compared in the literature."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from aecore.config.component import PositiveInt
from aecore.config.folders import expanded, installing, is_installed
from aecore.errors import SkippedError
from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.metrics.samples.frechet import samples
from aecore.evaluation.reported import Reported
from aecore.evaluation.trial import Trial

_WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"
_FROM = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
_FEATURES = 2048


class Inception(Metric):
    """`frechet_inception_samples`, `frechet_inception_reconstructions` (Heusel et al. 2017).

    The FID of N new images, and of N test images reconstructed, to these test images.
    By torchmetrics, with the features of the Inception network that the literature uses. Grey
    images are shown as coloured ones, all resized to 299 pixels; it says little of digits, and
    takes long without a GPU. With fewer images than its 2048 features it is biased and unstable:
    the literature has N of 10 000 or 50 000.

    images: N, at most.
    weights: the network's file; null for where torch.hub keeps it. Nothing is downloaded.
    """

    reports: ClassVar = {"frechet_inception_*": Reported(False)}

    images: PositiveInt
    weights: str | None

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Raises SkippedError for tables, and without the package or the weights."""
        if trial.is_table or trial.model.image_shape[0] not in (1, 3):
            raise SkippedError("images of 1 or 3 channels have a FID")
        path = weights_file(self.weights)
        from torchmetrics.image.fid import FrechetInceptionDistance  # loads the package: slow

        distance = FrechetInceptionDistance(
            _FEATURES,
            reset_real_features=False,
            normalize=True,
            antialias=False,  # resized as in the literature
            feature_extractor_weights_path=str(path),
        ).to(trial.device)
        test = trial.at_most(self.images)
        for x, _ in test.of_targets.batches():
            distance.update(_coloured(x), real=True)
        again = (trial.model.reconstruct(x, y) for x, y in test.batches())
        made: dict[str, Iterator[Tensor]] = {"reconstructions": again}
        if trial.model.can_sample:
            made["samples"] = samples(test)
        values = {}
        for name, batches in made.items():
            distance.reset()  # of the images made, not of the real ones
            for x in batches:
                distance.update(_coloured(x), real=False)
            values[f"frechet_inception_{name}"] = float(distance.compute())
        return values


def weights_file(weights: str | None) -> Path:
    """The file of the network's weights; SkippedError, with a hint, where something is missing."""
    if not is_installed("torch_fidelity"):
        raise SkippedError(f"it needs torch-fidelity: {installing('inception')}")
    path = expanded(weights or f"{torch.hub.get_dir()}/checkpoints/{_WEIGHTS}")
    if not path.is_file():
        raise SkippedError(f"no weights at {path}, get them from {_FROM}{_WEIGHTS}")
    try:  # the package would run whatever code the file holds
        torch.load(path, map_location="meta", weights_only=True)
    except Exception as error:  # of what a file may hold, each thing fails in a way of its own
        raise SkippedError(f"{path} holds no weights ({type(error).__name__})") from None
    return path


def _coloured(x: Tensor) -> Tensor:
    """Pixels (N, C, H, W) as (N, 3, H, W) in [0, 1]."""
    return x.clamp(0, 1).expand(-1, 3, -1, -1)
