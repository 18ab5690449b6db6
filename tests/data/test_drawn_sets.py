"""Data sets that the project makes itself: random pixels and cartoon faces."""

from __future__ import annotations

import resource
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from aecore.data.sources.cartoon import GLASSES_SHARE, Face
from aecore.data.sources.faces import Faces
from aecore.data.sources.uniform import Uniform
from aecore.data.split import Split
from helpers.sources import message


def uniform(**changes: Any) -> Uniform:
    return Uniform(**({"shape": [1, 28, 28], "images": 500} | changes))


class TestUniform:
    def test_every_value_is_as_frequent(self) -> None:
        split = uniform().load("train", Path())
        assert split.images.dtype == torch.uint8 and split.images.shape == (500, 1, 28, 28)
        assert split.labels is None
        counts = split.images.flatten().bincount(minlength=256).double()
        expected = 500 * 784 / 256
        chi2 = ((counts - expected) ** 2 / expected).sum()
        assert abs(chi2 - 255) < 4 * (2 * 255) ** 0.5

    def test_pixels_are_independent(self) -> None:
        x = uniform().load("train", Path()).pixels().double() - 0.5
        for a, b in ((x[..., 1:], x[..., :-1]), (x[:, :, 1:], x[:, :, :-1]), (x[1:], x[:-1])):
            assert abs((a * b).mean()) < 4 / 12 / a.numel() ** 0.5

    def test_splits_are_fixed_and_differ(self) -> None:
        train, again, test = (uniform().load(w, Path()) for w in ("train", "train", "test"))  # type: ignore[arg-type]
        assert torch.equal(train.images, again.images)
        assert not torch.equal(train.images, test.images)
        first = uniform(images=3, shape=[2, 3, 5]).load("test", Path())
        assert first.image_shape == (2, 3, 5)
        assert torch.equal(first.images.flatten(), test.images.flatten()[: 3 * 30])

    def test_errors(self) -> None:
        text = message(uniform(images=10**15), "train")
        assert text.startswith("dataset.images=1000000000000000: ") and "GiB" in text
        for change in ({"shape": [28, 28]}, {"shape": [1, 0, 3]}, {"images": 0}):
            with pytest.raises(ValidationError, match=next(iter(change))):
                uniform(**change)


def faces(images: int = 30, **changes: Any) -> Faces:
    values: dict[str, Any] = {
        "image_size": 16,
        "skip_broken": False,
        "test_fraction": 0.2,
        "in_memory": "auto",
        "cache_dir": None,
    }
    return Faces(images=images, **(values | changes))


def by_number(*splits: Split) -> dict[int, tuple[str, torch.Tensor]]:
    """Class and pixels of every face, by its number."""
    found = {}
    for split in splits:
        assert split.names is not None and split.labels is not None and split.class_names
        for name, image, label in zip(split.names, split.images, split.labels, strict=True):
            kind = split.class_names[int(label)]
            assert name.startswith(f"{kind}/")
            found[int(Path(name).stem)] = kind, image
    return found


def folders(path: Path) -> list[str]:
    """What lies in a folder beside the locks of those that wrote it."""
    return [entry.name for entry in path.iterdir() if entry.suffix != ".lock"]


def forked(function: Callable[[Path], str], path: Path) -> SimpleQueue[str]:
    """Run it in a process of its own, which shares what is imported; its answer comes later."""
    context = get_context("fork")
    answer: SimpleQueue[str] = context.SimpleQueue()
    context.Process(target=lambda: answer.put(function(path)), daemon=True).start()
    return answer


def _total(path: Path) -> str:
    return str(faces(300).load("train", path).images.sum().item())


def _with_small_files(path: Path) -> str:
    """No file may grow beyond 2,000 bytes, as on a disk that is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    return message(faces(9, image_size=64), "train", path)


class TestFaces:
    def test_is_a_folder_of_what_is_drawn(self, tmp_path: Path) -> None:
        train, test = (faces().load(which, tmp_path) for which in ("train", "test"))  # type: ignore[arg-type]
        assert (len(train), len(test)) == (24, 6)
        assert train.class_names == test.class_names == ("glasses", "plain")
        found = by_number(train, test)
        assert sorted(found) == list(range(30))
        for i, (kind, image) in found.items():
            face = Face(i, 16)
            assert kind == ("glasses" if face.glasses else "plain")
            assert np.array_equal(np.asarray(face.image()).transpose(2, 0, 1), image.numpy())
        assert folders(tmp_path) == ["faces_format1_v2_16px_30"]

    def test_a_later_use_draws_nothing(self, tmp_path: Path) -> None:
        first = faces().load("train", tmp_path)
        written = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.png")}
        assert torch.equal(faces().load("train", tmp_path).images, first.images)
        assert written == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.png")}

    def test_other_numbers_and_sizes_leave_a_folder_as_it_is(self, tmp_path: Path) -> None:
        small = by_number(*(faces().load(w, tmp_path) for w in ("train", "test")))  # type: ignore[arg-type]
        assert faces(image_size=24).load("test", tmp_path).image_shape == (3, 24, 24)
        large = by_number(*(faces(40).load(w, tmp_path) for w in ("train", "test")))  # type: ignore[arg-type]
        assert len(large) == 40 and len(folders(tmp_path)) == 3
        assert all(torch.equal(large[i][1], image) for i, (_, image) in small.items())
        again = by_number(*(faces().load(w, tmp_path) for w in ("train", "test")))  # type: ignore[arg-type]
        assert all(torch.equal(again[i][1], image) for i, (_, image) in small.items())

    def test_processes_that_begin_together(self, tmp_path: Path) -> None:
        said = [answer.get() for answer in [forked(_total, tmp_path) for _ in range(3)]]
        assert said == [said[0]] * 3 and int(said[0]) > 0
        assert folders(tmp_path) == ["faces_format1_v2_16px_300"]

    def test_missing_pictures_are_told(self, tmp_path: Path) -> None:
        faces().load("train", tmp_path)
        folder = tmp_path / "faces_format1_v2_16px_30"
        next(folder.rglob("*.png")).unlink()
        text = message(faces(), "train", tmp_path)
        assert text.startswith(f"{folder} has 29 of its 30 faces") and "delete" in text

    def test_a_data_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        text = message(faces(), "train", tmp_path / "file")
        assert "faces_format1_v2_16px_30 cannot be drawn" in text
        assert "paths.data_dir" in text and "AECORE_DATA_DIR" in text

    def test_a_full_disk_leaves_nothing(self, tmp_path: Path) -> None:
        said = forked(_with_small_files, tmp_path).get()
        assert said.startswith(
            f"{tmp_path / 'faces_format1_v2_64px_9'} cannot be drawn (File too large)"
        )
        assert folders(tmp_path) == []

    def test_wrong_arguments(self) -> None:
        for change in ({"images": 0}, {"image_size": 8}, {"image_size": [64, 64]}):
            with pytest.raises(ValidationError, match=next(iter(change))):
                faces(**change)


class TestDrawing:
    def test_depends_on_the_number_alone(self) -> None:
        first = Face(3, 32).image().tobytes()
        Face(5, 32).image()
        assert Face(3, 32).image().tobytes() == first

    def test_all_differ(self) -> None:
        drawn = {Face(i, 16).image().tobytes() for i in range(200)}
        assert len(drawn) == 200

    def test_share_of_glasses(self) -> None:
        n = 2000
        share = sum(Face(i, 16).glasses for i in range(n)) / n
        assert abs(share - GLASSES_SHARE) < 4 * (0.25 / n) ** 0.5

    def test_a_face_is_in_the_middle(self) -> None:
        """Its colours are few on the cheeks, and none of them reaches the upper corners."""
        for i in range(20):
            pixels = np.asarray(Face(i, 64).image(), float)
            assert pixels[36:40, 24:40].std((0, 1)).max() < 60, i
            corners = pixels[:3, [0, 1, -2, -1]]
            assert corners.std((0, 1)).max() < 3, i
            assert np.abs(pixels[32:40, 28:36].mean((0, 1)) - corners.mean((0, 1))).max() > 20, i

    def test_edges_are_smooth(self) -> None:
        """Beside the flat colours there are mixtures of two, as no hard edge has."""
        large = Face(0, 256).image().resize((64, 64), Image.Resampling.BOX)
        difference = np.abs(np.asarray(Face(0, 64).image(), float) - np.asarray(large, float))
        assert difference.mean() < 4
