"""The codes of many images."""

from __future__ import annotations

import torch
from torch import Tensor

from aecore.data.split import Split, permutation
from aecore.evaluation.metrics.base import Subject


def mean_codes(subject: Subject, split: Split) -> Tensor:
    """The mean codes of all images of a split in order, (N, numbers), on the CPU."""
    return torch.cat(
        [subject.model.encode(x, y=y).mean.flatten(1).cpu() for x, y in subject.labelled(split)]
    )


def part_of(split: Split, count: int | None, seed: int) -> Split:
    """Up to `count` images of a split with their labels, drawn by the seed; None: all of them."""
    if count is None or count >= len(split):
        return split
    return split.subset(permutation(len(split), seed)[:count])
