"""How long whole numbers are once an entropy coder knows how often each is seen."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_UNSEEN = 0.5  # what each number counts before any was seen (Krichevsky and Trofimov 1981)


class Tables:
    """How often each number was seen at each place, from which an arithmetic coder works.

    A number seen c times of n, of the K that there may be, takes -log2((c + 1/2) / (n + K/2)) bits.
    Such a coder comes within a few bits of the sum over an image's numbers.

    seen: (N, places) int64. low, high: (places,), the least and the largest number there may be.
    shared: whether all places have one table, for which low and high must be the same in each.

    fixed: bits of a row where each number takes log2 K.
    """

    def __init__(self, seen: Tensor, low: Tensor, high: Tensor, *, shared: bool = False) -> None:
        self.low, self.high = low, high
        count = high - low + 1
        self.fixed = float(count.double().log2().sum())
        first = torch.zeros_like(count) if shared else count.cumsum(0) - count
        self.first = first
        size = int(count[0] if shared else count.sum())
        counts = torch.bincount((seen - low + first).flatten(), minlength=size).double()
        numbers = len(seen) * (seen.shape[1] if shared else 1)
        choices = count[:1].expand(size) if shared else count.repeat_interleave(count)
        self.bits = -((counts + _UNSEEN) / (numbers + _UNSEEN * choices)).log2()

    def length(self, numbers: Tensor) -> Tensor:
        """Bits of each row of (N, places) int64, (N,) float64; each must lie in its range."""
        return self.bits[numbers - self.low + self.first].sum(1)


class Grid:
    """Codes as whole multiples of a step, and back.

    Values beyond the multiples of the training codes are clamped to them.

    step: above 0. codes: of training images, (N, places).
    """

    def __init__(self, step: float, codes: Tensor) -> None:
        self.step = step
        seen = self._nearest(codes)
        self.low, self.high = seen.amin(0), seen.amax(0)
        self.tables = Tables(seen, self.low, self.high)

    def _nearest(self, codes: Tensor) -> Tensor:
        return (codes.double() / self.step).round().long()

    def numbers(self, codes: Tensor) -> Tensor:
        """(N, places) -> int64."""
        return torch.maximum(torch.minimum(self._nearest(codes), self.high), self.low)

    def codes(self, numbers: Tensor) -> Tensor:
        """(N, places) -> float32."""
        return (numbers.double() * self.step).float()


def deviation(codes: Tensor) -> float:
    """The root of the mean variance of the values of codes (N, places); 1 if all are constant."""
    return math.sqrt(float(codes.double().var(0, correction=0).mean())) or 1.0
