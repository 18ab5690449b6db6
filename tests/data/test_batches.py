"""Mini-batches: their pixels, order, ranks and limits; and the moments of a split."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aecore.data.batches import Batches
from aecore.data.split import Split, permutation
from aecore.data.statistics import moments
from aecore.errors import UserError
from aecore.types import Batch
from helpers.splits import flat, split_of


def same(a: list[Batch], b: list[Batch]) -> bool:
    return len(a) == len(b) and all(
        torch.equal(x.x, y.x) and torch.equal(x.index, y.index) for x, y in zip(a, b, strict=True)
    )


class TestBatches:
    @given(
        n=st.integers(1, 60),
        size=st.integers(1, 20),
        chunk=st.none() | st.integers(1, 7),
        shuffle=st.booleans(),
        labels=st.booleans(),
        epoch=st.integers(0, 3),
    )
    def test_equals_slow_indexing(
        self, n: int, size: int, chunk: int | None, shuffle: bool, labels: bool, epoch: int
    ) -> None:
        split = split_of(n, labels=labels)
        batches = Batches(split, size, shuffle=shuffle, seed=4, chunk=chunk)
        batches.set_epoch(epoch)
        chunks = list(batches)
        assert len(chunks) == len(batches)
        assert all(len(c) == batches.chunk for c in chunks[:-1])
        got = flat(batches)
        order = torch.cat([batch.index for batch in got])
        if not shuffle:
            assert order.tolist() == list(range(n))
        lone = shuffle and n > size > 1 and n % size == 1
        assert len(set(order.tolist())) == len(order) == batches.images == n - lone
        assert [len(b.x) for b in got[:-1]] == [min(size, n)] * (batches.steps - 1)
        assert batches.steps == len(got)
        for i, batch in enumerate(got):
            index = order[i * size : (i + 1) * size]
            slow = torch.stack([split.images[int(j)].to(torch.float32) / 255 for j in index])
            assert torch.equal(batch.x, slow)
            assert batch.x.dtype == torch.float32
            if labels:
                assert batch.y is not None and batch.y.tolist() == [int(j) % 3 for j in index]
            else:
                assert batch.y is None

    @given(
        n=st.integers(8, 60),
        size=st.integers(4, 20),
        ranks=st.integers(1, 4),
        shuffle=st.booleans(),
    )
    def test_ranks_share_each_global_batch(
        self, n: int, size: int, ranks: int, shuffle: bool
    ) -> None:
        split = split_of(n)
        each = [
            flat(
                Batches(split, size, shuffle=shuffle, seed=1, chunk=3, rank=rank, world_size=ranks)
            )
            for rank in range(ranks)
        ]
        assert len({len(steps) for steps in each}) == 1
        order = permutation(n, 3, 1, 0) if shuffle else torch.arange(n)
        done = 0
        for shares in zip(*each, strict=True):
            sizes = [len(batch.x) for batch in shares]
            assert min(sizes) >= 1 and max(sizes) - min(sizes) <= 1
            together = torch.cat([batch.index for batch in shares])
            assert torch.equal(together, order[done : done + sum(sizes)])
            done += sum(sizes)
        assert n - done < 2 * ranks if shuffle else done == n

    def test_order_depends_on_seed_and_epoch_alone(self) -> None:
        def epochs(seed: int, *numbers: int) -> list[list[Batch]]:
            batches = Batches(split_of(50), 8, shuffle=True, seed=seed, chunk=2)
            found = []
            for number in numbers:
                batches.set_epoch(number)
                found.append(flat(batches))
            return found

        zero, one = epochs(0, 0, 1)
        torch.manual_seed(99)
        one_again, zero_again = epochs(0, 1, 0)
        assert same(zero, zero_again) and same(one, one_again)
        assert not same(zero, one) and not same(zero, epochs(1, 0)[0])

    @pytest.mark.parametrize(("rank", "ranks", "chunks"), [(0, 1, 4), (1, 2, 3)])
    def test_an_epoch_may_begin_at_a_later_chunk(self, rank: int, ranks: int, chunks: int) -> None:
        batches = Batches(
            split_of(50), 8, shuffle=True, seed=0, chunk=2, rank=rank, world_size=ranks, sample=True
        )
        batches.set_epoch(1)
        whole = list(batches)
        for first in range(len(whole) + 1):
            batches.set_epoch(1, first)
            assert len(batches) == len(whole) == chunks
            assert same(flat(batches), [batch for chunk in whole[first:] for batch in chunk])
        batches.set_epoch(1)
        assert same(flat(batches), [batch for chunk in whole for batch in chunk])

    def test_shuffling_spends_no_global_randomness(self) -> None:
        before = torch.get_rng_state()
        flat(Batches(split_of(50), 8, shuffle=True, seed=0, chunk=2))
        assert torch.equal(before, torch.get_rng_state())

    @pytest.mark.parametrize(
        ("shape", "size", "chunk"),
        [((1, 28, 28), 128, 40), ((1, 1, 2), 8, 50), ((3, 256, 256), 64, 1)],
    )
    def test_default_chunk(self, shape: tuple[int, ...], size: int, chunk: int) -> None:
        split = Split(torch.zeros(1, dtype=torch.uint8).expand(64, *shape))
        assert Batches(split, size, shuffle=False, seed=0, chunk=None).chunk == chunk

    def test_limit(self) -> None:
        batches = Batches(split_of(50), 8, shuffle=False, seed=0, chunk=2, limit=3)
        assert (batches.steps, batches.images, len(batches)) == (3, 24, 2)
        assert [len(chunk) for chunk in batches] == [2, 1]

    def test_more_ranks_than_images(self) -> None:
        with pytest.raises(UserError, match=r"dataset\.batch_size=2: 50 images .* 3 devices"):
            Batches(split_of(50), 2, shuffle=True, seed=0, chunk=None, world_size=3)

    def test_moves_to_a_device(self) -> None:
        batches = Batches(split_of(4), 2, shuffle=False, seed=0, chunk=None).to("meta")
        batch = flat(batches)[1]
        assert batch.y is not None
        assert {t.device.type for t in (batch.x, batch.y, batch.index)} == {"meta"}


class TestMoments:
    @pytest.mark.parametrize("n", [5, 3000])
    def test_channels(self, n: int) -> None:
        split = split_of(n % 256, shape=(3, 4, 5)) if n < 256 else split_of(n, shape=(3, 2, 1))
        mean, scale = moments(split)
        std, expected = torch.std_mean(split.pixels().double(), (0, 2, 3), correction=0)
        assert mean.shape == scale.shape == (3, 1, 1)
        assert torch.allclose(mean.flatten().double(), expected, rtol=1e-6)
        assert torch.allclose(scale.flatten().double(), std, rtol=1e-6)

    def test_columns(self) -> None:
        table = torch.randn(2000, 1, 1, 4, generator=torch.Generator().manual_seed(0)) * 1e3 + 1e4
        table[..., 2] = 0.1
        mean, scale = moments(Split(table))
        std, expected = torch.std_mean(table.double(), (0, 1, 2), correction=0)
        std[2] = 1
        assert mean.shape == scale.shape == (1, 1, 4)
        assert torch.allclose(mean.flatten().double(), expected, rtol=1e-6)
        assert torch.allclose(scale.flatten().double(), std, rtol=1e-6)
