"""Anomaly scores of images with a run, and the threshold by its known-good images."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Generator, Tensor

from aecore.data.module import ImageData
from aecore.errors import UserError
from aecore.evaluation.metrics.anomaly_score import By, Scorer, Units, scorer
from aecore.evaluation.trial import noun_of
from aecore.tasks.use import Opened


def scorer_of(
    opened: Opened, by: By = "error", units: Units = "model", smooth: float = 0.0
) -> Scorer:
    """The score of the run's model, its draws by the seed 0; raises what `scorer` does."""
    draws = Generator(device=opened.ae.device).manual_seed(0)
    return scorer(opened.ae.model, by, draws, units, smooth)


def all_scores(score: Scorer, batches: Iterable[tuple[Tensor, Tensor | None]]) -> Tensor:
    """(N,) float64 on the CPU, of batches (pixels, labels); NaN counts as the largest."""
    scores = torch.cat([score(x, y).cpu() for x, y in batches]).double()
    largest = torch.finfo(scores.dtype).max
    return scores.nan_to_num(nan=largest, posinf=largest)


def quantile_threshold(
    opened: Opened, run_data: ImageData, score: Scorer, quantile: float
) -> tuple[float, str]:
    """The quantile of the scores of known-good images, and a description of its origin.

    These are the run's validation images, or its training images where it has none.
    Raises UserError where they cannot be read.
    """
    try:
        val = run_data.val
        good, kind = (run_data.train, "training") if val is None else (val, "validation")
    except UserError as error:
        hint = "these are the known-good images; score.threshold=NUMBER needs none"
        raise error.with_hint(hint) from error
    batches = opened.trial(opened.scaled(good)).batches(run_data.eval_batch_size)
    value = float(np.quantile(all_scores(score, batches).numpy(), quantile))
    few = ", too few to be sure of it" if len(good) * (1 - quantile) < 5 else ""
    where = f"the run's {len(good):,} {kind} {noun_of(good.image_shape)}{few}"
    return value, f"the {quantile:g} quantile of {where}"
