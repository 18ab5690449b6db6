"""How well a sampler of codebook indices predicts them."""

from __future__ import annotations

import math
from typing import ClassVar

import torch

from aecore.errors import SkippedError
from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.reported import Reported
from aecore.evaluation.trial import Trial
from aecore.model.samplers.autoregressive import Autoregression

_DEPENDS = ("network", "latent")


class IndexBits(Metric):
    """The code length of the indices of the test images by `sampler=autoregressive`.

    `index_bits`: bits per dimension of the code, the mean of -log2 p(index | those before it).
    `index_entropy`: the entropy in bits of the test images' indices at each position alone, a mean
    over positions: what no sampler that takes positions as independent can fall below.
    """

    reports: ClassVar = {
        "index_bits": Reported(False, "per index", depends_on=_DEPENDS),
        "index_entropy": Reported(None, "per index", depends_on=_DEPENDS),
    }

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Raises SkippedError for continuous codes, and without such a sampler."""
        indices, sampler = trial.indices(), trial.model.sampler
        if not isinstance(sampler, Autoregression):
            raise SkippedError("no sampler=autoregressive was fitted")
        sampler.network.to(trial.device)
        nats, start = 0.0, 0
        for x, y in trial.batches():
            part = indices[start : start + len(x)].to(trial.device)
            given = None if sampler.classes is None else y
            nats -= float(sampler.log_prob(part, given).double().sum())
            start += len(x)
        counts = [place.unique(return_counts=True)[1].double() for place in indices.T]
        entropies = [float(torch.special.entr(n / n.sum()).sum()) for n in counts]
        return {
            "index_bits": nats / indices.numel() / math.log(2),
            "index_entropy": sum(entropies) / len(entropies) / math.log(2),
        }
