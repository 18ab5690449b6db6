"""Selections of images."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from aecore.data.split import Split


def balanced(labels: Tensor | None, total: int, count: int, generator: Generator) -> Tensor:
    """Indices of up to `count` of `total` images, shuffled, evenly over the classes.

    Neighbours are of different classes as long as two classes have images left.

    labels: (total,) int64, or None for any images.
    Returns (min(count, total),) int64 on the CPU.
    """
    order = torch.randperm(total, generator=generator, device=generator.device).cpu()
    if labels is None:
        return order[:count]
    classes, kinds = torch.unique(labels.cpu()[order], return_inverse=True)
    turn = torch.randperm(len(classes), generator=generator, device=generator.device).cpu()
    return order[(_ranks(kinds) * len(classes) + turn[kinds]).argsort()[:count]]


def first_of_each_class(labels: Tensor | None, total: int, count: int) -> Tensor:
    """Indices of the first images of each class in turn, ordered by class; no randomness.

    labels: (total,) int64, or None for the first images. Returns (min(count, total),) int64.
    """
    count = min(count, total)
    if labels is None:
        return torch.arange(count)
    classes, kinds = torch.unique(labels.cpu(), return_inverse=True)
    chosen = (_ranks(kinds) * len(classes) + kinds).argsort()[:count].sort().values
    by_class: Tensor = chosen[kinds[chosen].argsort(stable=True)]
    return by_class


def _ranks(kinds: Tensor) -> Tensor:
    """(N,): how many of the same kind 0, 1, ... come before each."""
    by_kind = kinds.argsort(stable=True)
    sizes = torch.bincount(kinds)
    ranks = torch.empty_like(kinds)
    ranks[by_kind] = torch.arange(len(kinds)) - (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
    return ranks


def class_name(images: Split, label: int) -> str:
    """The name of a class, or its number."""
    names = images.class_names or ()
    return names[label] if 0 <= label < len(names) else str(label)


def class_names(images: Split) -> list[str] | None:
    """The class of each image, by its name or number; None without labels."""
    if images.labels is None:
        return None
    return [class_name(images, label) for label in images.labels.tolist()]
