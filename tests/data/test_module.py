"""The data module: its splits, loaders and errors, alone and in Lightning."""

from __future__ import annotations

import inspect
import pydoc
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from aecore.data.batches import Batches
from aecore.data.module import ImageData
from aecore.data.sources.arrays import Arrays
from aecore.data.sources.digits import Digits
from aecore.data.split import Source, Split
from aecore.errors import UserError
from aecore.types import Batch
from helpers.splits import Memory, data, flat, split_of

NAMES = sorted((Path(__file__).parents[2] / "conf" / "dataset").glob("*.yaml"))


def members(split: Split | None) -> set[int]:
    """Which images: `split_of` marks each by its first pixel."""
    return set() if split is None else set(split.images.flatten(1)[:, 0].tolist())


class TestImageData:
    @given(val=st.integers(0, 40) | st.floats(0.1, 0.5), seed=st.integers(0, 2**40))
    def test_val_is_drawn_from_train(self, val: int | float, seed: int) -> None:
        module = data(Memory(split_of(50)), val_size=val, seed=seed)
        train, held_out = members(module.train), members(module.val)
        assert not train & held_out
        assert train | held_out == set(range(50))
        assert len(held_out) == (val if isinstance(val, int) else round(val * 50))
        assert (module.val is None) == (val == 0)

    def test_val_depends_on_the_seed_alone(self) -> None:
        source = Memory(split_of(50))
        held_out = members(data(source).val)
        assert held_out == members(data(source, train_size=9, batch_size=4).val)
        assert held_out != members(data(source, seed=1).val)

    def test_subsets(self) -> None:
        source = Memory(split_of(50), split_of(30))
        small, large = (data(source, train_size=n) for n in (10, 20))
        assert len(small.train) == 10 and len(large.train) == 20
        assert members(small.train) < members(large.train)
        assert members(data(source, test_size=7).test) == set(range(7))

    def test_loads_only_what_is_asked_for(self) -> None:
        module = data(Memory(None, split_of(30)))
        assert len(module.test) == 30 and module.image_shape == (2, 3, 1)
        assert module.test is module.test
        module = data(Memory(split_of(50), None))
        assert len(module.train) == 40 and module.image_shape == (2, 3, 1)
        assert module.train is module.train

    def test_dataloaders(self) -> None:
        module = data(Memory(split_of(50), split_of(30)), limit_batches=4)
        train, test = module.train_dataloader(), module.test_dataloader()
        val = cast(Batches, module.val_dataloader())
        assert [b.batch_size for b in (train, val, test)] == [8, 16, 16]
        assert [b.steps for b in (train, val, test)] == [4, 1, 2]
        assert flat(test)[0].index.tolist() == list(range(16))
        assert flat(train)[0].index.tolist() != list(range(8))
        assert data(Memory(split_of(50)), val_size=0).val_dataloader() == []

    def test_statistics(self) -> None:
        module = data(Memory(split_of(50)), range="standardised")
        std, mean = torch.std_mean(module.train.pixels(), (0, 2, 3), correction=0, keepdim=True)
        statistics = module.statistics()
        assert statistics is not None and statistics.limits is None
        assert torch.allclose(statistics.shift, mean[0])
        assert torch.allclose(statistics.scale, std[0])
        assert data(Memory(split_of(50))).statistics() is None

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"batch_size": 41}, "dataset.batch_size=41: there are only 40 training images"),
            ({"val_size": 50}, "dataset.val_size=50: nothing of 50 images is left"),
            ({"val_size": 0.999}, "dataset.val_size=0.999: nothing of 50 images is left"),
            ({"train_size": 41}, "dataset.train_size=41: only 40"),
        ],
    )
    def test_too_large(self, changes: dict[str, Any], says: str) -> None:
        module = data(Memory(split_of(50)), **changes)
        with pytest.raises(UserError) as raised:
            module.train_dataloader()
        assert str(raised.value).startswith(says)

    def test_other_errors(self) -> None:
        floats = Split(torch.linspace(-2, 3, 50).view(50, 1, 1, 1))
        with pytest.raises(
            UserError, match=r"dataset\.range=unit: .* \[-2, 3\](.|\n)*standardised"
        ):
            _ = data(Memory(floats)).train
        assert len(data(Memory(floats), range="standardised").train) == 40
        with pytest.raises(UserError, match=r"dataset: the train split is empty"):
            _ = data(Memory(Split(torch.zeros(0, 1, 2, 2)))).train
        with pytest.raises(UserError, match=r"dataset\.test_size=31: .* only 30"):
            _ = data(Memory(None, split_of(30)), test_size=31).test
        module = data(Memory(split_of(50), split_of(30, shape=(1, 2, 2))))
        assert len(module.train) == 40
        with pytest.raises(UserError, match=r"test images have the shape \(1, 2, 2\)"):
            _ = module.test

    @pytest.mark.parametrize(
        "change",
        [
            {"batch_size": 0},
            {"batch_size": 1.5},
            {"val_size": -1},
            {"val_size": 1.0},
            {"val_size": True},
            {"range": "byte"},
            {"seed": -1},
            {"train_size": 0},
            {"source": "digits"},
        ],
    )
    def test_wrong_arguments(self, change: dict[str, Any]) -> None:
        with pytest.raises(ValidationError, match=next(iter(change))):
            data(**({"source": Digits()} | change))


@pytest.mark.parametrize("path", NAMES, ids=lambda path: path.stem)
def test_yaml_builds_its_source_and_the_rest_is_common(path: Path) -> None:
    assert path.read_text().startswith("# ")
    node = yaml.safe_load(path.read_text())
    source = pydoc.locate(node.pop("_target_"))
    assert isinstance(source, type) and issubclass(source, Source)
    own = inspect.signature(source).parameters
    source(**{key: value for key, value in node.items() if key in own})
    common = inspect.signature(ImageData).parameters
    assert not set(own) & set(common)
    assert set(node) - set(own) - {"epochs"} <= set(common) - {"source", "data_dir", "seed"}


class Recorder(pl.LightningModule):
    """Trains one weight and notes every mini-batch that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.seen: dict[str, list[list[int]]] = {"train": [], "val": [], "test": []}

    def on_train_epoch_start(self) -> None:
        self.trainer.train_dataloader.set_epoch(self.current_epoch)  # type: ignore[union-attr]

    def _note(self, chunk: list[Batch], split: str) -> Tensor:
        self.seen[split] += [batch.index.tolist() for batch in chunk]
        loss = torch.stack([(self.weight * batch.x).mean() for batch in chunk]).mean()
        self.log(f"{split}/loss", loss, batch_size=sum(len(batch.x) for batch in chunk))
        return loss

    def training_step(self, batch: list[Batch], batch_idx: int) -> Tensor:
        return self._note(batch, "train")

    def validation_step(self, batch: list[Batch], batch_idx: int) -> None:
        self._note(batch, "val")

    def test_step(self, batch: list[Batch], batch_idx: int) -> None:
        self._note(batch, "test")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer(tmp_path: Path, epochs: int, validate: bool = True) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        default_root_dir=tmp_path,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=1.0 if validate else 0,
        log_every_n_steps=1,
    )


def expected(batches: Batches, *epochs: int) -> list[list[int]]:
    found = []
    for epoch in epochs:
        batches.set_epoch(epoch)
        found += [batch.index.tolist() for batch in flat(batches)]
    return found


class TestLightning:
    def test_a_chunk_made_elsewhere_is_moved(self) -> None:
        module = data(Memory(split_of(50)))
        chunk = next(iter(module.train_dataloader()))
        assert module.transfer_batch_to_device(chunk, torch.device("cpu"), 0) is chunk
        moved = module.transfer_batch_to_device(chunk, torch.device("meta"), 0)
        assert [b.x.shape for b in moved] == [b.x.shape for b in chunk]
        for batch in moved:
            assert batch.y is not None
            assert {t.device.type for t in (batch.x, batch.y, batch.index)} == {"meta"}

    def test_fit_and_test_see_every_batch(self, tmp_path: Path) -> None:
        source = Memory(split_of(50), split_of(30))
        model, module = Recorder(), data(source)
        fitted = trainer(tmp_path, 3)
        fitted.fit(model, datamodule=module)
        fitted.test(model, datamodule=module, verbose=False)
        loader = data(source)
        assert model.seen["train"] == expected(loader.train_dataloader(), 0, 1, 2)
        assert model.seen["val"] == expected(cast(Batches, loader.val_dataloader()), 0, 0, 0)
        assert model.seen["test"] == expected(loader.test_dataloader(), 0)

    def test_a_resumed_run_goes_on_with_the_next_order(self, tmp_path: Path) -> None:
        source = Memory(split_of(50))
        first = trainer(tmp_path, 2, validate=False)
        first.fit(Recorder(), datamodule=data(source, val_size=0))
        first.save_checkpoint(tmp_path / "a.ckpt", weights_only=False)
        model = Recorder()
        trainer(tmp_path, 4, validate=False).fit(
            model, datamodule=data(source, val_size=0), ckpt_path=tmp_path / "a.ckpt"
        )
        loader = data(source, val_size=0).train_dataloader()
        assert model.seen["train"] == expected(loader, 2, 3)
        assert model.seen["val"] == []


def test_a_table_file_end_to_end(tmp_path: Path) -> None:
    table = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)).mul(5).numpy()
    module = data(Arrays(path=str(tmp_path / "t.npy"), test_fraction=0.25), range="standardised")
    np.save(tmp_path / "t.npy", table)
    assert module.image_shape == (1, 1, 3) and len(module.test) == 10
