"""Images on the disk: many small files, the file of decoded images, and a large mapped array."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from children import call
from options import BATCH, Options
from table import Row

SIDE = 28
INDEXED = 10.0  # seconds
STREAMED = 1 / 0.9  # of an epoch from memory
DECODED = 1.0  # of a DataLoader
MAPPED = 1.0  # of reading the file and then passing over what the system keeps of it
_SHAPE = (3, 64, 64)  # of the images of the array


def measure(options: Options) -> list[Row]:
    """Indexing, the first pass and later epochs over files; the first pass over an array."""
    count = 2_000 if options.quick else 100_000
    megabytes = 100 if options.quick else 4_000
    with tempfile.TemporaryDirectory() as folder:
        print(f"disk: drawing {count:,} images", file=sys.stderr)
        draw(Path(folder, "images"), count)
        arguments = {"folder": folder, "threads": options.threads}
        files = call("disk", options.threads, {"what": "files", **arguments})
        epochs = call("disk", options.threads, {"what": "epochs", **arguments})
    with tempfile.TemporaryDirectory() as folder:
        print(f"disk: writing {megabytes:,} MB", file=sys.stderr)
        arguments = {"folder": folder, "threads": options.threads}
        fill(Path(folder, "x.npy"), megabytes)
        array = call("disk", options.threads, {"what": "array", **arguments})
    images, file = f"{count:,} images of {SIDE}x{SIDE}", f"{megabytes:,} MB of .npy"
    streamed = [a / b for a, b in zip(epochs["file"], epochs["memory"], strict=True)]
    return [
        Row("disk", f"{images}: names listed", "ours", [files["listed"]]),
        Row("disk", f"{images}: indexed", "ours", [files["indexed"]], bound=INDEXED),
        Row("disk", f"{images}: first pass", "ours", [files["decoded"]]),
        Row("disk", f"{images}: first pass", "torchvision", [files["torchvision"]]),
        Row("disk", "first pass, ours / torchvision", "ours",
            [files["decoded"] / files["torchvision"]], "", bound=DECODED),
        Row("disk", f"{images}: epoch", "in memory", epochs["memory"]),
        Row("disk", f"{images}: epoch", "from the cache", epochs["file"]),
        Row("disk", "epoch, from the cache / in memory", "ours", streamed, "", bound=STREAMED),
        Row("disk", f"{file}: first pass", "ours", [array["first"]]),
        Row("disk", f"{file}: later pass, of pixels to floats", "ours", [array["later"]]),
        Row("disk", f"{file}: read", "the disk", [array["read"]]),
        Row("disk", "first pass / (read + later pass)", "ours",
            [array["first"] / (array["read"] + array["later"])], "", bound=MAPPED),
    ]  # fmt: skip


def draw(root: Path, count: int) -> None:
    """So many grey PNG files, 1000 a folder."""
    from PIL import Image

    def save(i: int) -> None:
        small = np.random.default_rng(i).integers(0, 256, (5, 5), dtype=np.uint8)
        image = Image.fromarray(small).resize((SIDE, SIDE))
        image.save(root / f"{i // 1000:04}" / f"{i:08}.png")

    for number in range(-(-count // 1000)):
        (root / f"{number:04}").mkdir(parents=True)
    with ThreadPoolExecutor() as pool:
        list(pool.map(save, range(count), chunksize=1000))


def fill(path: Path, megabytes: int) -> None:
    """An array of random bytes, written to the disk."""
    count = megabytes * 10**6 // int(np.prod(_SHAPE))
    some = np.random.default_rng(0).integers(0, 256, (1000, *_SHAPE), dtype=np.uint8)
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, *_SHAPE)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, count, 1000):
            file.write(some[: min(1000, count - start)].data)
        os.fsync(file.fileno())


def run(what: str, folder: str, threads: int) -> dict[str, Any]:
    """One of the measurements of this section, in a process of its own."""
    measurements: dict[str, Callable[[str, int], dict[str, Any]]]
    measurements = {"files": _files, "epochs": _epochs, "array": _array}
    return measurements[what](folder, threads)


@contextmanager
def _clock(found: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    found[name] = time.perf_counter() - start


def _data(folder: str, *overrides: str) -> Any:
    """The data of an experiment, nothing read yet."""
    from aecore.config.arguments import parse
    from aecore.config.build import validate
    from aecore.config.compose import compose
    from aecore.config.schema import Config
    from aecore.training.setup import build_data

    argv = [*overrides, f"dataset.batch_size={BATCH}", f"paths.data_dir={folder}/data", "seed=0"]
    return build_data(validate(Config, compose(parse(argv)).config))


def _images(folder: str, in_memory: str) -> Any:
    return _data(
        folder, "dataset=image_folder", f"dataset.root={folder}/images",
        f"dataset.image_size={SIDE}", f"dataset.in_memory={in_memory}",
    )  # fmt: skip


def _files(folder: str, threads: int) -> dict[str, float]:
    """Seconds: names listed; both splits read in all; of that without the decoding; torchvision."""
    import torch
    from torchvision.datasets import ImageFolder
    from torchvision.transforms.v2 import Compose, Grayscale, PILToTensor

    from aecore.data.images import cache
    from aecore.data.images.files import images_under
    from aecore.data.sources import image_folder

    found: dict[str, float] = {}
    with _clock(found, "listed"):
        images_under(Path(folder, "images"))
    spent, decoded = [0.0], cache.decoded

    def clocked(*arguments: Any) -> Any:
        start = time.perf_counter()
        images = decoded(*arguments)
        spent[0] += time.perf_counter() - start
        return images

    data = _images(folder, "true")
    with patch.object(image_folder, "decoded", clocked), _clock(found, "decoded"):
        data.train, data.test  # noqa: B018
    found["indexed"] = found["decoded"] - spent[0]
    theirs = ImageFolder(f"{folder}/images", Compose([Grayscale(), PILToTensor()]))
    loader = torch.utils.data.DataLoader(theirs, BATCH, num_workers=threads)
    with _clock(found, "torchvision"):
        assert sum(len(x) for x, _ in loader) == sum(len(s) for s in (
            data.train, data.val, data.test))  # fmt: skip
    return found


def _epochs(folder: str, threads: int) -> dict[str, list[float]]:
    """Seconds of training epochs of a small network, in turn; the first of each is not counted."""
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    found: dict[str, list[float]] = {}
    loaders = {}
    for name, in_memory in (("memory", "true"), ("file", "false")):
        loaders[name], found[name] = _images(folder, in_memory).train_dataloader(), []
    pixels = SIDE * SIDE
    model = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 64), nn.ReLU(), nn.Linear(64, pixels))
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    for _ in range(4):
        for name, loader in loaders.items():
            start = time.perf_counter()
            for batch in (batch for chunk in loader for batch in chunk):
                loss = (model(batch.x) - batch.x.flatten(1)).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            found[name].append(time.perf_counter() - start)
    return {name: seconds[1:] for name, seconds in found.items()}


def _array(folder: str, threads: int) -> dict[str, float]:
    """Seconds of reading the file of an array, of the first epoch over it, and of a later one."""
    path = Path(folder, "x.npy")
    found: dict[str, float] = {}
    _forget(path)
    with _clock(found, "read"), path.open("rb", buffering=0) as file:
        while file.read(2**20):
            pass
    _forget(path)  # before it is mapped: the system keeps what is
    data = _data(
        folder, "dataset=arrays", f"dataset.path={path}", "dataset.in_memory=false",
        "dataset.val_size=0", "dataset.test_fraction=0.01",
    )  # fmt: skip
    loader = data.train_dataloader()
    for name in ("first", "later"):
        with _clock(found, name):
            for batch in (batch for chunk in loader for batch in chunk):
                batch.x.sum()
    return found


def _forget(path: Path) -> None:
    """Let the system drop what it keeps of a file in memory."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
