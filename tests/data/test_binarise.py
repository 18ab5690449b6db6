"""Black and white pixels: by a threshold, and drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aecore.data.batches import Batches
from aecore.data.binarise import ONCE, binarise_once, draw_binary, split_mix, stream, uniform
from aecore.data.module import ImageData
from aecore.data.sources.image_folder import ImageFolder
from aecore.data.split import Split
from aecore.errors import UserError
from aecore.model.reconstruction.bernoulli import Bernoulli
from helpers.checkpoints import checkpointed
from helpers.models import images, mlp, model
from helpers.splits import Memory, data, flat, split_of


def levels(*values: float, n: int = 50) -> Split:
    """n images of one row with those values."""
    return Split(torch.tensor(values).expand(n, 1, 1, len(values)).contiguous())


def by_index(batches: Batches) -> torch.Tensor:
    """An epoch's pixels in the order of the split."""
    found = flat(batches)
    order = torch.cat([b.index for b in found]).argsort()
    return torch.cat([b.x for b in found])[order]


class TestThreshold:
    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
    def test_every_split_is_black_and_white(self, dtype: torch.dtype) -> None:
        ramp = torch.arange(256).view(256, 1, 1, 1)
        images = ramp.to(torch.uint8) if dtype == torch.uint8 else ramp.to(torch.float32) / 255
        module = data(Memory(Split(images), Split(images)), binarise="threshold")
        expected = (ramp.to(torch.float32) / 255 > 0.5).to(torch.float32)
        assert torch.equal(module.test.pixels(), expected)
        assert module.val is not None
        shares = [s.pixels().sum() for s in (module.train, module.val)]
        assert sum(shares) == 128
        assert set(module.train.pixels().flatten().tolist()) == {0.0, 1.0}
        seen = torch.cat([b.x for b in flat(module.train_dataloader())])
        assert set(seen.flatten().tolist()) == {0.0, 1.0}
        assert 120 - 8 <= seen.sum() <= 128  # a ragged batch of one may be left out

    def test_exactly_one_half_is_black(self) -> None:
        module = data(Memory(levels(0.5, 0.5000001, 0.0, 1.0)), binarise="threshold")
        assert module.train.pixels()[0].flatten().tolist() == [0, 1, 0, 1]

    def test_null_changes_nothing(self) -> None:
        plain, null = (data(Memory(split_of(50)), **c) for c in ({}, {"binarise": None}))
        assert torch.equal(plain.train.images, null.train.images)
        assert torch.equal(by_index(plain.train_dataloader()), null.train.pixels())


class TestThrow:
    def test_is_split_mix(self) -> None:
        """Against published outputs of SplitMix64 for the seed 1234567."""
        known = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
        got = split_mix(torch.arange(1, 5), 1234567)
        assert [n % 2**64 for n in got.tolist()] == known
        u = uniform(torch.tensor([0]), 4, 1234567)
        assert u.flatten().tolist() == [(n >> 40) / 2**24 for n in known]
        assert uniform(torch.tensor([1]), 2, 1234567).flatten().tolist() == u[0, 2:].tolist()

    def test_means_and_pairs(self) -> None:
        """Each pixel's mean is its value; pixels, images and streams are independent."""
        n, values = 20_000, torch.tensor([0.02, 0.3, 0.5, 0.9])
        x = values.view(1, 1, 1, 4).expand(n, 1, 1, 4)
        drawn = [draw_binary(x, torch.arange(n), stream(9, key)).flatten(1) for key in (0, 1)]
        columns = torch.cat([drawn[0], drawn[1], drawn[0].roll(1, 0)], 1).double()
        p = values.double().repeat(3)
        deviation = (p * (1 - p)).sqrt()
        assert ((columns.mean(0) - p).abs() < 4 * deviation / n**0.5).all()
        standard = (columns - p) / deviation
        correlation = standard.T @ standard / n - torch.eye(12)
        assert (correlation.fill_diagonal_(0).abs() < 4.5 / n**0.5).all()

    @settings(max_examples=30)
    @given(parts=st.lists(st.integers(1, 200), min_size=1, max_size=5), seed=st.integers(0, 2**64))
    def test_is_the_same_in_any_company(self, parts: list[int], seed: int) -> None:
        n = sum(parts)
        x, index = images(n, 2, 9, 11), torch.randperm(n)
        key = stream(seed)
        whole = draw_binary(x, index, key)
        pieces = zip(x.split(parts), index.split(parts), strict=True)
        assert torch.equal(whole, torch.cat([draw_binary(a, b, key) for a, b in pieces]))
        assert set(whole.flatten().tolist()) <= {0.0, 1.0}
        assert torch.equal(
            draw_binary(whole, index, key + 1 - 2 * (key % 2)), whole
        )  # 0 and 1 stay

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    def test_is_the_same_on_a_gpu(self) -> None:
        x, index = images(3000, 1, 28, 28), torch.arange(3000) + 2**40
        assert torch.equal(draw_binary(x, index, 5), draw_binary(x.cuda(), index.cuda(), 5).cpu())

    def test_once_of_many(self) -> None:
        split = split_of(250, shape=(1, 4, 5))
        many = Split(split.images.repeat(9, 1, 1, 1))
        drawn = binarise_once(many, 1)
        key = stream(ONCE, 1)
        assert torch.equal(drawn.pixels(), draw_binary(many.pixels(), torch.arange(2250), key))
        assert drawn.images.dtype == torch.uint8


class TestSample:
    def test_held_out_images_are_drawn_once(self) -> None:
        source = Memory(split_of(50), split_of(30))
        module, again = (data(source, binarise="sample") for _ in range(2))
        other = data(source, binarise="sample", seed=1)
        grey = data(source)
        for name in ("train", "val", "test"):
            split = getattr(module, name)
            assert split.images.unique().tolist() == [0, 255]
            assert torch.equal(split.images, getattr(again, name).images)
            assert torch.equal(split.labels, getattr(grey, name).labels)
        assert torch.equal(module.test.images, other.test.images)
        loaders = [cast(Batches, module.val_dataloader()), module.test_dataloader()]
        for loader, split in zip(loaders, (module.val, module.test), strict=True):
            assert split is not None
            loader.set_epoch(3)
            assert torch.equal(by_index(loader), split.pixels())

    def test_first_test_images_are_those_of_all(self) -> None:
        source = Memory(None, split_of(30))
        few = data(source, binarise="sample", test_size=7).test.images
        assert torch.equal(few, data(source, binarise="sample").test.images[:7])

    def test_splits_and_epochs_have_streams_of_their_own(self) -> None:
        half = levels(*[0.5] * 64, n=50)
        module = data(Memory(half, half), binarise="sample", val_size=25, seed=0)
        loader = module.train_dataloader()
        assert module.val is not None
        drawn = [module.train.pixels(), module.val.pixels(), module.test.pixels()[:25]]
        for epoch in range(3):
            loader.set_epoch(epoch)
            drawn.append(by_index(loader))
        other = data(Memory(half, half), binarise="sample", val_size=25, seed=1)
        drawn.append(by_index(other.train_dataloader()))
        signs = torch.stack([d[:24].flatten() for d in drawn]) * 2 - 1
        correlation = signs @ signs.T / signs.shape[1] - torch.eye(len(drawn))
        assert correlation.abs().max() < 4.5 / signs.shape[1] ** 0.5

    def test_the_mean_over_epochs_is_the_pixel(self) -> None:
        module = data(Memory(split_of(40)), binarise="sample", val_size=0)
        loader, epochs = module.train_dataloader(), 1500
        total = torch.zeros(40, 2, 3, 1, dtype=torch.float64)
        for epoch in range(epochs):
            loader.set_epoch(epoch)
            x = by_index(loader)
            assert ((x == 0) | (x == 1)).all()
            total += x
        p = data(Memory(split_of(40)), val_size=0).train.pixels().double()
        assert ((total / epochs - p).abs() <= 4.5 * (p * (1 - p) / epochs).sqrt()).all()

    @given(
        size=st.integers(4, 20),
        chunk=st.none() | st.integers(1, 7),
        ranks=st.integers(1, 3),
        epoch=st.integers(0, 5),
    )
    def test_chunks_batches_and_ranks_do_not_matter(
        self, size: int, chunk: int | None, ranks: int, epoch: int
    ) -> None:
        split = split_of(60)
        options: dict[str, Any] = {"seed": 3, "sample": True}
        reference = Batches(split, 60, shuffle=False, chunk=None, **options)
        reference.set_epoch(epoch)
        whole = by_index(reference)
        for rank in range(ranks):
            batches = Batches(
                split, size, shuffle=True, chunk=chunk, rank=rank, world_size=ranks, **options
            )
            batches.set_epoch(epoch)
            for batch in flat(batches):
                assert torch.equal(batch.x, whole[batch.index])

    def test_drawing_spends_no_global_randomness(self) -> None:
        before = torch.get_rng_state()
        flat(data(Memory(split_of(50)), binarise="sample").train_dataloader())
        assert torch.equal(before, torch.get_rng_state())

    def test_a_resumed_run_ends_as_one_that_was_not_stopped(self, tmp_path: Path) -> None:
        def module() -> ImageData:
            grey = Split(images(48, 1, 4, 4))
            return data(Memory(grey), binarise="sample", val_size=8)

        def trained(epochs: int, folder: Path, resume: bool = False) -> Any:
            whole = model(network=mlp(6), reconstruction=Bernoulli(targets="soft", threshold=0.5))
            return checkpointed(whole, folder, epochs, module=module(), resume=resume)

        (tmp_path / "other").mkdir()
        trained(2, tmp_path)
        resumed, straight = trained(4, tmp_path, True), trained(4, tmp_path / "other")
        for a, b in zip(resumed.parameters(), straight.parameters(), strict=True):
            assert torch.equal(a, b)


class TestErrors:
    @pytest.mark.parametrize("how", ["threshold", "sample"])
    def test_only_in_the_unit_range(self, how: str) -> None:
        with pytest.raises(UserError) as raised:
            data(Memory(split_of(50)), range="standardised", binarise=how)
        text = str(raised.value)
        assert text.startswith(f"dataset.range=standardised: dataset.binarise={how} needs")
        assert "dataset.range=unit" in text and len(text.splitlines()) <= 3
        table = Split(torch.linspace(-2, 3, 50).view(50, 1, 1, 1))
        with pytest.raises(UserError, match=r"\[-2, 3\](.|\n)*standardised dataset\.binarise=null"):
            _ = data(Memory(table), binarise=how).train
        assert len(data(Memory(levels(0, 0.25, 1)), binarise=how).train) == 40

    def test_images_kept_in_a_file(self, tmp_path: Path) -> None:
        from PIL import Image

        for i in range(20):
            Image.new("L", (4, 4), 12 * i).save(tmp_path / f"{i}.png")
        source = ImageFolder(
            root=str(tmp_path),
            image_size=4,
            channels=1,
            skip_broken=False,
            test_fraction=0.5,
            in_memory=False,
            cache_dir=str(tmp_path / "cache"),
        )
        with pytest.raises(UserError, match=r"dataset\.binarise=threshold: (.|\n)*in_memory=true"):
            _ = data(source, binarise="threshold", val_size=0).train
