"""dSprites from a file in its format that is much smaller: in memory, mapped, and refused."""

from __future__ import annotations

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from aecore.data.sources import dsprites
from aecore.data.sources.dsprites import DSprites
from aecore.data.split import Split, Which
from helpers.pickles import Bomb
from helpers.sources import message

COUNTS = (1, 3, 2, 4, 3, 5)  # colour, shape, scale, orientation, x, y
N = 360


def source(in_memory: Any = "auto", **changes: Any) -> DSprites:
    values: dict[str, Any] = {"test_fraction": 0.2, "cache_dir": None}
    return DSprites(in_memory=in_memory, **(values | changes))


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """The images (360, 1, 64, 64) of a file in `data/`, each of 0 and 255; read 50 at a time."""
    images = np.random.default_rng(0).integers(0, 2, (N, 64, 64), dtype=np.uint8)
    classes = np.stack(np.unravel_index(np.arange(N), COUNTS), 1)
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / dsprites.FILE
    bomb = np.array(Bomb(tmp_path / "exploded"), dtype=object)
    np.savez_compressed(path, imgs=images, latents_classes=classes, metadata=bomb)
    monkeypatch.setattr(dsprites, "MD5", hashlib.md5(path.read_bytes()).hexdigest())
    monkeypatch.setattr(dsprites, "AT_ONCE", 50)
    return torch.from_numpy(255 * images[:, None])


def load(root: Path, which: Which, *words: Any, **changes: Any) -> Split:
    return source(*words, **changes).load(which, root / "data")


@pytest.mark.parametrize("in_memory", [True, False])
def test_images_and_their_factors(tmp_path: Path, written: Tensor, in_memory: bool) -> None:
    train, test = (load(tmp_path, which, in_memory) for which in ("train", "test"))
    assert (len(train), len(test)) == (288, 72)
    places = []
    for split in (train, test):
        assert (split.rows is None) == in_memory and split.image_shape == (1, 64, 64)
        assert split.class_names == ("square", "ellipse", "heart")
        assert split.factors is not None and split.labels is not None
        assert torch.equal(split.labels, split.factors[:, 0])
        place = np.ravel_multi_index(split.factors.numpy().T, COUNTS[1:])
        assert torch.equal(split.pixels(), written[place].div(255))
        assert split.images.dtype == torch.uint8
        places += place.tolist()
    assert sorted(places) == list(range(N))
    assert not (tmp_path / "exploded").exists()


def test_both_parts_share_a_file_that_is_written_once(tmp_path: Path, written: Tensor) -> None:
    load(tmp_path, "train", False, cache_dir=str(tmp_path / "cache"))
    (file,) = (tmp_path / "cache").glob("*.npy")
    before = file.stat().st_mtime_ns
    test = load(tmp_path, "test", False, cache_dir=str(tmp_path / "cache"))
    assert test.rows is not None and torch.equal(test.images, written)
    assert file.stat().st_mtime_ns == before
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} <= {".npy", ".lock"}


def test_it_is_downloaded(tmp_path: Path, written: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "data" / dsprites.FILE
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = partial(SimpleHTTPRequestHandler, directory=there.parent)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        monkeypatch.setattr(dsprites, "URL", f"http://127.0.0.1:{server.server_port}/{there.name}")
        split = source().load("test", tmp_path / "new" / "folder")
        server.shutdown()
    assert len(split) == 72
    assert (tmp_path / "new" / "folder" / dsprites.FILE).read_bytes() == there.read_bytes()


def test_no_data_and_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    text = message(source(), "test", tmp_path)
    assert text.startswith(f"{dsprites.FILE} is missing from {tmp_path}")
    assert len(text.splitlines()) == 1 and "dataset=shapes" in text


def test_errors(tmp_path: Path, written: Tensor) -> None:
    data = tmp_path / "data"
    (tmp_path / "file").touch()
    text = message(source(False, cache_dir=f"{tmp_path}/file/cache"), "train", data)
    assert text.startswith(f"dataset.cache_dir={tmp_path}/file/cache: ") and "Not a dir" in text
    load(tmp_path, "test", False)
    (file,) = (data / "cache").glob("*.npy")
    whole = file.read_bytes()
    file.write_bytes(whole[:1000])
    load(tmp_path, "test", False)
    assert file.read_bytes() == whole, "unpacked again"
    path = data / dsprites.FILE
    path.write_bytes(path.read_bytes()[:-1])
    text = message(source(True), "train", data)
    assert text.startswith(f"{path} is damaged") and "checksum" in text
