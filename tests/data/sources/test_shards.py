"""Rows in several mapped files, and their order in an epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aecore.data.batches import Batches
from aecore.data.mapped import block_order
from aecore.data.sources.shards import Shards
from aecore.errors import UserError
from helpers.models import data_of
from helpers.sources import message

COUNTS = (30, 1, 69)


def written(folder: Path, dtype: Any = np.float32, width: int = 5) -> torch.Tensor:
    """Three files of 100 rows; returns these, (100, width)."""
    rows = np.random.default_rng(0).integers(0, 256, (sum(COUNTS), width)).astype(dtype)
    for n, part in enumerate(np.split(rows, np.cumsum(COUNTS)[:-1])):
        np.save(folder / f"{n:02}.npy", part)
    return torch.from_numpy(rows)


def shards(folder: Path, fraction: float = 0.2) -> Shards:
    return Shards(path=str(folder), test_fraction=fraction)


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32])
def test_rows_are_those_of_the_files(tmp_path: Path, dtype: Any) -> None:
    rows, source = written(tmp_path, dtype), shards(tmp_path)
    whole, places = source.whole(tmp_path)
    expected = rows.float() / (255 if dtype == np.uint8 else 1)
    torch.testing.assert_close(whole.pixels().view(100, 5), expected)
    train, test = (source.load(w, tmp_path) for w in ("train", "test"))  # type: ignore[arg-type]
    assert (len(train), len(test)) == (80, 20) and train.image_shape == (1, 1, 5)
    torch.testing.assert_close(test.pixels().view(20, 5), expected[places])
    index = torch.tensor([7, 79, 0, 7])
    assert torch.equal(train.stored(index), train.stored(torch.arange(80))[index])
    assert torch.equal(train.subset(index).pixels(), train.pixels(index))
    assert torch.equal(
        torch.cat([part.clone() for part in train.parts(17)]),
        train.to("cpu").stored(torch.arange(80)),
    )


def test_a_file_is_mapped_not_read(tmp_path: Path) -> None:
    written(tmp_path)
    whole, _ = shards(tmp_path).whole(tmp_path)
    file = np.lib.format.open_memmap(tmp_path / "02.npy", "r+")
    file[0] = 7
    file.flush()
    assert (whole.stored(torch.tensor([31])) == 7).all()


def test_it_trains_as_a_table(tmp_path: Path) -> None:
    rows = written(tmp_path)
    data = data_of(shards(tmp_path), range="standardised", val_size=10, batch_size=8)
    assert len(data.train) == 70 and data.val is not None and len(data.val) == 10
    statistics = data.statistics()
    kept = data.train.pixels().view(-1, 5)
    assert statistics is not None
    torch.testing.assert_close(statistics.shift.flatten(), kept.mean(0))
    seen = torch.cat([b.x for chunk in data.train_dataloader() for b in chunk]).view(-1, 5)
    assert sorted(seen.tolist()) == sorted(kept.tolist())
    assert len(seen.unique(dim=0)) == 70 <= len(rows)


@pytest.mark.parametrize(("n", "size"), [(1000, 3), (7, 100), (64 * 5, 5), (1, 1)])
def test_neighbours_stay_near(n: int, size: int) -> None:
    order = block_order(n, size, 1, 2)
    assert sorted(order.tolist()) == list(range(n))
    assert torch.equal(order, block_order(n, size, 1, 2))
    for window in torch.split(order, 64 * size):  # no more blocks than it has room for
        assert len((window // size).unique()) <= 64 + 1
    if n > 64:
        assert not torch.equal(order, block_order(n, size, 1, 3))
        assert not torch.equal(order, torch.arange(n))


def test_epochs_are_functions_of_seed_and_number(tmp_path: Path) -> None:
    written(tmp_path)
    split = shards(tmp_path).load("train", tmp_path)

    def epoch(seed: int, number: int) -> torch.Tensor:
        batches = Batches(split, 8, shuffle=True, seed=seed, chunk=3)
        batches.set_epoch(number)
        return torch.cat([b.index for chunk in batches for b in chunk])

    assert torch.equal(epoch(0, 1), epoch(0, 1))
    assert not torch.equal(epoch(0, 1), epoch(0, 2)) and not torch.equal(epoch(0, 1), epoch(1, 1))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_number_that_is_none_is_named(tmp_path: Path, bad: float) -> None:
    rows = written(tmp_path).numpy()[:30].copy()
    rows[7, 3] = bad
    np.save(tmp_path / "01.npy", rows)
    with pytest.raises(UserError, match=r"01\.npy: 1 values are NaN or infinite, first in row 7$"):
        shards(tmp_path).load("test", tmp_path)


def test_what_else_lies_there_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = written(tmp_path)
    np.savez(tmp_path / "more.npz", x=rows)
    (tmp_path / "deeper").mkdir()
    np.save(tmp_path / ".hidden.npy", np.zeros(3))
    source = shards(tmp_path)
    assert len(source.whole(tmp_path)[0]) == len(rows)
    source.load("test", tmp_path)
    (text,) = [record.getMessage() for record in caplog.records]
    assert text == f"dataset.path={tmp_path}: not used: deeper, more.npz (2)"


def test_bytes_of_yes_and_no_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    np.save(tmp_path / "0.npy", np.random.default_rng(0).integers(0, 2, (40, 6), np.uint8))
    source = shards(tmp_path)
    data = data_of(source, range="standardised", val_size=0, batch_size=4)
    assert len(data.train) == 32 and source.note == "8 bits, read as [0, 1]"
    (text,) = [record.getMessage() for record in caplog.records]
    assert "the largest value is 0.003922 of 1; save them as float32" in text


def test_errors(tmp_path: Path) -> None:
    assert "which folder" in message(Shards(path=None, test_fraction=0.1), "train")
    assert "no such folder" in message(shards(tmp_path / "nowhere"), "train")
    assert "no .npy files" in message(shards(tmp_path), "train")
    written(tmp_path)
    assert "none of the 100 rows" in message(shards(tmp_path, 0.0), "test")
    for array, problem in (
        (np.zeros((3, 4), np.float32), "4 columns of torch.float32, 00.npy 5 columns"),
        (
            np.zeros((3, 5), np.float16),
            "5 columns of torch.float16, 00.npy 5 columns of torch.float32",
        ),
        (np.zeros(3, np.float32), "of shape (3,)"),
        (np.zeros((3, 5)), "holds float64"),
        (np.array([{}]), "cannot be read as .npz or .npy"),
    ):
        np.save(tmp_path / "03.npy", array, allow_pickle=True)
        text = message(shards(tmp_path), "train")
        assert "03.npy" in text and problem in text
    (tmp_path / "03.npy").write_bytes(b"\x93NUMPY")
    assert "cannot be read as .npz or .npy" in message(shards(tmp_path), "train")
