"""How nearly each number of a code is one of the factors that the images are made of."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from aecore.config.component import PositiveInt, Probability, component
from aecore.data.split import Split
from aecore.errors import NotApplicable
from aecore.evaluation.metrics.base import Metric, Subject
from aecore.evaluation.metrics.disentangled.dci import completeness, disentanglement, forests
from aecore.evaluation.metrics.disentangled.factor_vae import factor_vae_score
from aecore.evaluation.metrics.disentangled.information import mig, modularity, mutual_information
from aecore.evaluation.metrics.disentangled.sap import predictability, sap
from aecore.evaluation.metrics.mean_codes import mean_codes, part_of

AtLeastTwo = Annotated[int, Field(ge=2)]


class Disentanglement(Metric):
    """Scores of the mean codes of images whose factors are known, each 1 at best.

    `mig`, `modularity`: by the mutual information with the codes in `bins` bins. `sap`: by
    thresholds on single numbers. `dci_disentanglement`, `dci_completeness`,
    `dci_informativeness`: by what matters to random forests of `trees` trees, with `leaf` images
    in a leaf at least. `factor_vae_score`: by `votes` votes a factor, each of `group` images.

    images: of the test split, at most, and as many to train on for what is fitted. Factors that
    do not vary are left out. active: a number of the code that varies less than this share of the
    one that varies most counts as constant, as one that is switched off: its small rests would
    tell as much as others to scores that do not see their scale.
    """

    @component
    def __init__(
        self,
        *,
        images: AtLeastTwo,
        bins: AtLeastTwo,
        active: Probability,
        trees: PositiveInt,
        leaf: PositiveInt,
        votes: PositiveInt,
        group: AtLeastTwo,
    ) -> None:
        self.images = images
        self.bins = bins
        self.active = active
        self.trees, self.leaf = trees, leaf
        self.votes, self.group = votes, group

    def __call__(self, subject: Subject) -> dict[str, float]:
        """Raises NotApplicable without two factors that vary, and for codes of maps or one number.

        Also where no two of the images have the same value of a factor.
        """
        shape = subject.model.code_shape
        if len(shape) > 1 or shape[0] < 2:
            raise NotApplicable(f"a code of the shape {list(shape)} is no row of several numbers")
        splits = [part_of(s, self.images, subject.seed) for s in (subject.training, subject.test)]
        fitted, tested = varying([factors_of(split) for split in splits])
        codes, test = (mean_codes(subject, split).double().numpy() for split in splits)
        still = test.std(0) < self.active * test.std(0).max()
        codes[:, still] = test[:, still] = 0
        information = mutual_information(test, tested, self.bins)
        importances, informativeness = forests(
            (codes, fitted), (test, tested), trees=self.trees, leaf=self.leaf, seed=subject.seed
        )
        draws = np.random.default_rng(subject.seed)
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
    """The factors of a split, (N, F); raises NotApplicable where they are not known."""
    if split.factors is None:
        raise NotApplicable("it is not known which factors the images are made of")
    factors: NDArray[np.int64] = split.factors.cpu().numpy()
    return factors


def varying(parts: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """The factors (N, F) of each part without those that do not vary in all parts.

    Raises NotApplicable where what is left cannot be measured.
    """
    counts = np.array([[len(np.unique(f)) for f in part.T] for part in parts])
    chosen = (counts > 1).all(0)
    if chosen.sum() < 2:
        raise NotApplicable("fewer than two factors of the images vary")
    if any((counts[i, chosen] == len(part)).any() for i, part in enumerate(parts)):
        raise NotApplicable("no two of the images have the same value of a factor")
    return [part[:, chosen] for part in parts]
