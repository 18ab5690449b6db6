"""The usage of the codebook."""

from __future__ import annotations

import math
from typing import ClassVar

import torch

from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.reported import Reported
from aecore.evaluation.trial import Trial


class Perplexity(Metric):
    """The usage of codebook entries by the test images.

    `perplexity`: exp of the entropy of the entries of all test images, from 1 to the
    number of entries. `codes_used`: the share of the entries that any of these images uses.
    `code_bits`: the bits of an image's code, all entries taken as equally likely.

    If positions of a code have separate codebooks (the variables of a categorical code, the levels
    of a residual one), the entropy and the share are means over positions.
    """

    reports: ClassVar = dict.fromkeys(("perplexity", "codes_used", "code_bits"), Reported())

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Raises SkippedError for continuous codes."""
        indices, size = trial.indices(), trial.model.latent.codebook_size
        assert size is not None, "codes with indices have a codebook"
        groups = indices.flatten()[None] if trial.model.latent.shared_codebook else indices.T
        counts = [group.unique(return_counts=True)[1].double() for group in groups]
        entropies = [float(torch.special.entr(n / n.sum()).sum()) for n in counts]
        used = sum(len(n) for n in counts) / (size * len(counts))
        return {
            "perplexity": math.exp(sum(entropies) / len(entropies)),
            "codes_used": used,
            "code_bits": indices.shape[1] * math.log2(size),
        }
