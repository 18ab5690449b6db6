"""A distribution for each class of a conditional model, for any sampler."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from typing_extensions import override

from aecore.model.samplers.base import CodeSampler, Fitted

_SHARED = "shared"  # beside the labels


@dataclass(frozen=True)
class ByClass(Fitted):
    """One distribution for each class with enough codes, and one of all codes for the others.

    classes: their number. by_label: those of one class. shared: None if every class has one.
    """

    classes: int
    by_label: Mapping[int, Fitted]
    shared: Fitted | None

    def draw(
        self, n: int, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor:
        """`n` codes, of the classes 0, 1, ... in turn."""
        return self.draw_of(torch.arange(n) % self.classes, like, generator, temperature)

    @property
    @override
    def no_temperature(self) -> str | None:
        return self._of(0).no_temperature

    @override
    def draw_of(
        self, y: Tensor, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor:
        drawn = {
            label: self._of(label).draw(int((y == label).sum()), like, generator, temperature)
            for label in torch.unique(y).tolist()
        }
        order = y.argsort(stable=True).to(like.device)
        sorted_codes = torch.cat(list(drawn.values()))  # in the order of labels, as of `unique`
        return torch.empty_like(sorted_codes).index_copy_(0, order, sorted_codes)

    def _of(self, label: int) -> Fitted:
        fitted = self.by_label.get(label, self.shared)
        assert fitted is not None, "labels are 0 ... classes - 1"
        return fitted

    @override
    def tensors(self) -> dict[str, Tensor]:
        parts = {str(label): one for label, one in self.by_label.items()}
        parts |= {} if self.shared is None else {_SHARED: self.shared}
        return {f"{part}.{k}": v for part, one in parts.items() for k, v in one.tensors().items()}


def fit_by_class(
    sampler: CodeSampler, codes: Tensor, labels: Tensor, classes: int, seed: int
) -> ByClass:
    """Fit to codes (N, D) of classes (N,), on the CPU; equal for equal seeds."""
    by_label = {}
    for label in range(classes):
        some = codes[labels == label]
        if len(some) >= sampler.least:
            by_label[label] = sampler.fit(some, seed)
    shared = None if len(by_label) == classes else sampler.fit(codes, seed)
    return ByClass(classes, by_label, shared)


def restore_by_class(
    sampler: CodeSampler, tensors: Mapping[str, Tensor], dim: int, classes: int
) -> ByClass:
    """The distribution with these `ByClass.tensors`; ValueError or KeyError for other tensors."""
    parts: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for key, value in tensors.items():
        part, _, name = key.partition(".")
        parts[part][name] = value
    fitted = {part: sampler.restore(found, dim) for part, found in parts.items()}
    shared = fitted.pop(_SHARED, None)
    labels = {str(label): label for label in range(classes)}
    by_label = {labels[part]: one for part, one in fitted.items()}
    if shared is None and len(by_label) < classes:
        raise ValueError(f"{len(by_label)} of {classes} classes")
    return ByClass(classes, by_label, shared)
