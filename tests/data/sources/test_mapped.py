"""Arrays that stay on the disk: the same numbers as in memory, and what is said of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aecore.cli import main
from aecore.data import mapped
from aecore.data.images.memory import InMemory
from aecore.data.mapped import MappedSplit
from aecore.data.module import ImageData
from aecore.data.sources import numpy_file
from aecore.data.sources.arrays import Arrays
from aecore.data.sources.layouts import Layout
from helpers.models import data_of
from helpers.sources import message

N = 50
WAYS: tuple[InMemory, InMemory] = (True, False)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several parts of each file."""
    monkeypatch.setattr(mapped, "_VALUES_AT_ONCE", 100)


def arrays(path: Path, in_memory: InMemory, **options: Any) -> Arrays:
    return Arrays(path=str(path), **({"test_fraction": 0.2} | options), in_memory=in_memory)


def numbers(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


def equal(file: Path, **options: Any) -> MappedSplit:
    """Asserts that every number of a file is the same in memory and mapped; the mapped train."""
    memory, disk = (arrays(file, way, **options) for way in WAYS)
    for which in ("train", "test"):
        a, b = (source.load(which, file) for source in (memory, disk))  # type: ignore[arg-type]
        assert b.rows is not None and len(a) == len(b) and a.image_shape == b.image_shape
        assert a.images.dtype == b.images.dtype and a.nbytes == b.nbytes
        assert torch.equal(a.pixels(), b.pixels())
        index = torch.tensor([3, 0, 3])
        assert torch.equal(a.stored(index), b.stored(index))
        assert torch.equal(a.subset(index).pixels(), b.subset(index).pixels())
        assert torch.equal(a.images, torch.cat([part.clone() for part in b.parts(7)]))
    assert torch.equal(memory.whole(file)[1], disk.whole(file)[1])
    train = disk.load("train", file)
    assert isinstance(train, MappedSplit)
    return train


@pytest.mark.parametrize(
    "dtype", ["uint8", "bool", "int16", "uint16", "int32", "uint64", "float16", ">f4", "float64"]
)
@pytest.mark.parametrize("white", [None, 4095.0])
def test_every_type_of_number(tmp_path: Path, dtype: str, white: float | None) -> None:
    np.save(tmp_path / "x.npy", numbers(dtype, (N, 6, 5)))
    equal(tmp_path / "x.npy", white=white)


@pytest.mark.parametrize(
    ("layout", "shape"),
    [("ND", (N, 8)), ("NHWC", (N, 4, 5, 3)), ("NCHW", (N, 3, 4, 5)), ("NTC", (N, 9, 2))],
)
def test_every_order_of_axes(tmp_path: Path, layout: Layout, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "x.npy", numbers("float32", shape))
    split = equal(tmp_path / "x.npy", layout=layout)
    assert split.array is not None and isinstance(split.array.base, np.memmap)  # no copy


@pytest.mark.parametrize(("spread", "coarse"), [(1e9, False), (3e2, True), (0, False)])
def test_double_where_single_is_too_coarse(tmp_path: Path, spread: float, coarse: bool) -> None:
    random = np.random.default_rng(0)  # milliseconds since 1970, beside a column that is fine
    columns = [1.6e12 + 0.1 + spread * random.normal(size=N), random.normal(size=N)]
    np.save(tmp_path / "x.npy", np.column_stack(columns))
    split = equal(tmp_path / "x.npy")
    assert split.images.dtype == (torch.float64 if coarse else torch.float32)


def data(file: Path, in_memory: InMemory, **options: Any) -> ImageData:
    return data_of(arrays(file, in_memory), **({"range": "standardised"} | options))


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_statistics_ranges_and_batches(tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "x.npy", numbers(dtype, (N, 4, 3, 3)))
    memory, disk = (data(tmp_path / "x.npy", way, val_size=5) for way in WAYS)
    a, b = memory.statistics(), disk.statistics()
    assert a is not None and b is not None
    assert torch.equal(a.shift, b.shift) and torch.equal(a.scale, b.scale)
    if dtype == "float64":  # outside [0, 1]
        assert a.limits is not None and b.limits is not None and torch.equal(a.limits, b.limits)
        scaled = disk.test.rescaled(b.limits)
        assert scaled.rows is not None
        assert torch.equal(memory.test.rescaled(a.limits).pixels(), scaled.pixels())
    batches = [x for chunk in disk.train_dataloader() for x in chunk]
    seen, places = torch.cat([x.x for x in batches]), torch.cat([x.index for x in batches])
    assert sorted(places.tolist()) == list(range(35))
    assert torch.equal(seen, memory.train.pixels(places))


def test_epochs_go_by_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "x.npy", numbers("uint8", (N, 10, 10)))
    monkeypatch.setattr(mapped, "_BLOCK", 500)  # 5 images
    monkeypatch.setattr(mapped, "_WINDOW", 2)
    order = arrays(tmp_path / "x.npy", False).load("train", tmp_path).order(0, 1)
    assert sorted(order.tolist()) == list(range(40))
    for window in torch.split(order, 10):
        assert len((window // 5).unique()) == 2


def test_only_large_files_are_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "x.npy", numbers("uint8", (N, 10, 10)))
    source = arrays(tmp_path / "x.npy", "auto")
    assert source.load("train", tmp_path).rows is None and source.note == "layout NHW"
    monkeypatch.setattr(numpy_file, "_LARGE", 1000)
    assert source.load("train", tmp_path).rows is not None
    assert source.note == "layout NHW, mapped"
    monkeypatch.setattr(numpy_file, "available_memory", lambda: 3000)
    text = message(arrays(tmp_path / "x.npy", True), "train")
    assert "dataset.in_memory=true" in text and "memory are free" in text
    np.savez(tmp_path / "x.npz", x=numbers("uint8", (N, 10, 10)))
    text = message(arrays(tmp_path / "x.npz", "auto"), "train")
    assert "memory are free" in text and 'numpy.save("x.npy", x)' in text


def test_what_cannot_be_mapped(tmp_path: Path) -> None:
    x = numbers("float32", (N, 6))
    x[30, 2], x[41, 0] = np.nan, np.inf
    np.save(tmp_path / "x.npy", x)
    text = message(arrays(tmp_path / "x.npy", False), "train")
    assert text == message(arrays(tmp_path / "x.npy", True), "train")
    assert "2 values are NaN or infinite, first in row 30" in text
    np.save(tmp_path / "x.npy", np.asfortranarray(np.ones((5, 4))))
    assert "Fortran order" in message(arrays(tmp_path / "x.npy", False), "train")
    np.savez(tmp_path / "x.npz", x=np.ones((5, 4)))
    assert "an .npz cannot be mapped" in message(arrays(tmp_path / "x.npz", False), "train")
    np.save(tmp_path / "x.npy", 2 * np.ones((N, 3, 3)))
    with pytest.raises(Exception, match=r"lie in \[2, 2\], not in \[0, 1\]"):
        _ = data(tmp_path / "x.npy", False, range="unit").train


def test_a_run_of_whole_batches_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps that see all images at once: only the order within them differs, which no loss sees."""
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", numbers("int16", (60, 6, 6)) - 100)
    metrics = []
    for way in ("true", "false"):
        command = ["model=ae", "dataset=arrays", "dataset.path=x.npy", f"dataset.in_memory={way}"]
        command += ["dataset.range=standardised", "network.hidden=[8]", "latent.dim=2"]
        command += ["trainer.max_epochs=2", "logger=none", "figures=[reconstructions]"]
        assert main([*command, f"hydra.run.dir=in_{way}"]) == 0
        metrics.append(json.loads(Path(f"in_{way}", "metrics.json").read_text()))
    for key in ("test/mse", "val/loss"):
        assert metrics[0][key] == pytest.approx(metrics[1][key], rel=1e-4)
