"""The fast iterator over a split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from aecore.data.binarise import EACH_EPOCH, draw_binary, stream
from aecore.data.split import Split, to_pixels
from aecore.errors import ConfigError
from aecore.types import Batch

VALUES_A_CHUNK = 4_000_000
VALUES_AT_ONCE = 1_000_000  # as floats they stay in a processor's cache until they are used
LARGEST_CHUNK = 50
Gather = Callable[[Tensor, list[int]], list[Batch]]


class Chunk:
    """Some mini-batches, gathered as they are asked for; each iteration gathers them anew."""

    def __init__(self, parts: Sequence[tuple[Tensor, list[int]]], gather: Gather) -> None:
        """parts: positions (M,) of images and the sizes of their batches; gathered at once."""
        self._parts, self._gather = parts, gather

    def __len__(self) -> int:
        """Mini-batches."""
        return sum(len(sizes) for _, sizes in self._parts)

    def __iter__(self) -> Iterator[Batch]:
        for index, sizes in self._parts:
            yield from self._gather(index, sizes)

    def to(self, device: torch.device) -> Chunk:
        """The same batches on a device, each moved there as it is gathered."""
        gather = self._gather
        if not self._parts or self._parts[0][0].device == device:
            return self
        return Chunk(self._parts, lambda *part: [_moved(b, device) for b in gather(*part)])


def _moved(b: Batch, device: torch.device) -> Batch:
    y = None if b.y is None else b.y.to(device)
    target = None if b.target is None else b.target.to(device)
    return Batch(b.x.to(device), y, b.index.to(device), target)


class Batches:
    """Mini-batches of a split, many at a time: iterating gives chunks.

    Of a chunk as many batches as fit a processor's cache are gathered and turned to float at once;
    the batches are views of that, which costs far less than a DataLoader's collation image by
    image.

    The order is that of the split, or, shuffled, a pure function of (seed, epoch). The ragged
    last batch is kept. Two exceptions: shuffled, it is dropped where it would leave a rank fewer
    than two images (batch norm fails on one), unless it is the only batch; not shuffled, one with
    fewer images than ranks joins the batch before it.

    Ranks: `batch_size` counts the images of all ranks. Of a batch of b images, rank r of
    W takes those from b r // W to b (r + 1) // W, so every rank has the same number of steps and
    their shares differ by at most one image.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        *,
        shuffle: bool,
        seed: int,
        chunk: int | None,
        rank: int = 0,
        world_size: int = 1,
        limit: int | None = None,
        sample: bool = False,
    ) -> None:
        """chunk: maximum batches in a chunk; fewer if they have over 4 million values.

        limit: maximum batches in an epoch. sample: each pixel is 0 or 1, with its value as
        the probability of 1: a pure function of (seed, epoch, position in the split), so neither
        the order nor the ranks matter. Raises ConfigError for fewer images than ranks.
        """
        if min(batch_size, len(split)) < world_size:
            raise ConfigError(
                "dataset.batch_size", batch_size,
                f"{len(split)} images cannot be shared by {world_size} devices: each "
                "needs one image a batch",
            )  # fmt: skip
        values = batch_size * split.images[0].numel()
        self.split = split
        self.batch_size = batch_size
        self.chunk = min(max(round(VALUES_A_CHUNK / values), 1), chunk or LARGEST_CHUNK)
        self._at_once = max(VALUES_AT_ONCE // values, 1)
        self.epoch, self._first, self._done = 0, 0, 0
        self._shuffle, self._seed = shuffle, seed
        self._rank, self._world_size = rank, world_size
        self._sample = sample
        self._ends = self._batch_ends()[:limit]

    def _batch_ends(self) -> list[int]:
        """Where each global batch ends in the epoch's order."""
        n, size = len(self.split), self.batch_size
        ends = list(range(size, n + 1, size))
        ragged = n % size
        if not ragged:
            return ends
        if ends and self._shuffle and ragged < 2 * self._world_size:
            return ends
        if ends and not self._shuffle and ragged < self._world_size:
            return [*ends[:-1], n]
        return [*ends, n]

    @property
    def steps(self) -> int:
        """Mini-batches an epoch, the same on every rank."""
        return len(self._ends)

    @property
    def images(self) -> int:
        """Images in an epoch, of all ranks."""
        return self._ends[-1]

    def set_epoch(self, epoch: int, first: int = 0, done: int = 0) -> None:
        """Choose the order and the drawn pixels of the next epoch, not of one under way.

        first: with which chunk it begins; those before it are skipped, not gathered.
        done: mini-batches of the epoch that are skipped, which may be some or all of that chunk.
        """
        self.epoch, self._first, self._done = epoch, first, max(done, first * self.chunk)

    def to(self, device: torch.device | str) -> Batches:
        """Move the data, once, so that chunks are made on the device; returns itself."""
        self.split = self.split.to(device)
        return self

    def __len__(self) -> int:
        """Chunks an epoch."""
        return -(-self.steps // self.chunk)

    def __iter__(self) -> Iterator[Chunk]:
        """One epoch; the epoch's number is read when the first chunk is asked for."""
        # Lightning makes the first iterator before the epoch has begun: hence a generator.
        n = len(self.split)
        order = self.split.order(self._seed, self.epoch) if self._shuffle else None
        stream_key = stream(EACH_EPOCH, self._seed, self.epoch) if self._sample else None
        starts = [0, *self._ends[:-1]]
        shares = [self._share(a, b) for a, b in zip(starts, self._ends, strict=True)]
        positions = torch.arange(n) if order is None else order
        if self._world_size > 1:
            positions = torch.cat([positions[a:b] for a, b in shares])
        positions = positions.to(self.split.images.device)
        sizes = [b - a for a, b in shares]
        rest = positions[sum(sizes[: self._done]) :]
        for first in range(self._first * self.chunk, self.steps, self.chunk):
            parts = []
            start, end = max(first, self._done), min(first + self.chunk, self.steps)
            for at in range(start, end, self._at_once):
                part = sizes[at : min(at + self._at_once, first + self.chunk)]
                parts.append((rest[: sum(part)], part))
                rest = rest[sum(part) :]
            yield Chunk(parts, partial(self._gather, stream_key=stream_key))

    def size(self, step: int, count: int = 1) -> int:
        """Images in so many mini-batches of an epoch from that step on, of all ranks."""
        last = min(step + count, self.steps) - 1
        return self._ends[last] - (self._ends[step - 1] if step else 0)

    def _share(self, start: int, end: int) -> tuple[int, int]:
        """This rank's part of the global batch start..end."""
        size, rank, ranks = end - start, self._rank, self._world_size
        return start + size * rank // ranks, start + size * (rank + 1) // ranks

    def _gather(self, index: Tensor, sizes: list[int], *, stream_key: int | None) -> list[Batch]:
        """Images at `index` as batches of these sizes; stream_key: their pixels drawn as 0 or 1."""
        labels = self.split.labels
        pixels = to_pixels(self.split.stored(index))
        if stream_key is not None:
            pixels = draw_binary(pixels, index, stream_key)
        x = torch.split(pixels, sizes)
        y: Sequence[Tensor | None] = [None] * len(sizes)
        if labels is not None:
            y = torch.split(labels.index_select(0, index), sizes)
        target: Sequence[Tensor | None] = [None] * len(sizes)
        if self.split.targets is not None:
            target = torch.split(to_pixels(self.split.of_targets.stored(index)), sizes)
        parts = zip(x, y, torch.split(index, sizes), target, strict=True)
        return [Batch(*part) for part in parts]
