"""How nearly each latent dimension is one factor of variation of the images."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from aecore.config.component import PositiveInt, Probability
from aecore.data.split import Split
from aecore.errors import SkippedError
from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.metrics.disentangled.scores import (
    completeness,
    disentanglement,
    factor_vae_score,
    forests,
    mig,
    modularity,
    mutual_information,
    predictability,
    sap,
)
from aecore.evaluation.reported import Reported
from aecore.evaluation.trial import Trial

AtLeastTwo = Annotated[int, Field(ge=2)]


class Disentanglement(Metric):
    """Scores of the mean codes of images whose factors are known, each 1 at best.

    `mig`, `modularity`: by the mutual information with the codes in `bins` bins. `sap`: by
    thresholds on single latent dimensions. `dci_disentanglement`, `dci_completeness`,
    `dci_informativeness`: by what matters to random forests of `trees` trees, with `leaf` images
    in a leaf at least. `factor_vae_score`: by `votes` votes a factor, each of `group` images.

    images: of the test split, at most, and as many to train on for what is fitted. Factors that
    do not vary are left out. active: a latent dimension that varies less than this share of the
    one that varies most counts as constant: to scores that ignore scale its small remains would
    be as informative as others.
    """

    reports: ClassVar = dict.fromkeys(
        (
            "mig", "modularity", "sap", "factor_vae_score",
            "dci_disentanglement", "dci_completeness", "dci_informativeness",
        ),
        Reported(True),
    )  # fmt: skip

    images: AtLeastTwo
    bins: AtLeastTwo
    active: Probability
    trees: PositiveInt
    leaf: PositiveInt
    votes: PositiveInt
    group: AtLeastTwo

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Raises SkippedError without two factors that vary.

        Also for spatial codes and codes of one dimension, and where no two of the images have the
        same value of a factor.
        """
        shape = trial.model.code_shape
        if len(shape) > 1 or shape[0] < 2:
            raise SkippedError(f"a code of shape {list(shape)} is no vector of several dimensions")
        parts = [t.at_most(self.images) for t in (trial.on(trial.training), trial)]
        fitted, tested = varying([factors_of(part.images) for part in parts])
        codes, test = (part.codes().double().numpy() for part in parts)
        still = test.std(0) < self.active * test.std(0).max()
        codes[:, still] = test[:, still] = 0
        information = mutual_information(test, tested, self.bins)
        importances, informativeness = forests(
            (codes, fitted), (test, tested), trees=self.trees, leaf=self.leaf, seed=trial.seed
        )
        draws = np.random.default_rng(trial.seed)
        return {
            "mig": mig(information, tested),
            "modularity": modularity(information),
            "sap": sap(predictability((codes, fitted), test, tested)),
            "dci_disentanglement": disentanglement(importances),
            "dci_completeness": completeness(importances),
            "dci_informativeness": informativeness,
            "factor_vae_score": factor_vae_score(
                test, tested, votes=self.votes, group=self.group, draws=draws
            ),
        }


def factors_of(split: Split) -> NDArray[np.int64]:
    """The factors of a split, (N, F); raises SkippedError where they are not known."""
    if split.factors is None:
        raise SkippedError("it is not known which factors the images are made of")
    factors: NDArray[np.int64] = split.factors.cpu().numpy()
    return factors


def varying(parts: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """The factors (N, F) of each part without those that do not vary in all parts.

    Raises SkippedError where what is left cannot be measured.
    """
    counts = np.array([[len(np.unique(f)) for f in part.T] for part in parts])
    chosen = (counts > 1).all(0)
    if chosen.sum() < 2:
        raise SkippedError("fewer than two factors of the images vary")
    if any((counts[i, chosen] == len(part)).any() for i, part in enumerate(parts)):
        raise SkippedError("no two of the images have the same value of a factor")
    return [part[:, chosen] for part in parts]
