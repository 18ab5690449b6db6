"""Short names of compared runs, and pages of the pictures that they left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from aecore.compare.report.labels import labels_of
from aecore.compare.report.tiling import columns_for, tiled
from aecore.compare.runs import gather
from aecore.compare.vary import varied
from helpers.run_folders import make
from helpers.sweeps import holds


def labels(folders: list[Path], grid: list[dict[str, str]] | None = None) -> list[str]:
    runs = gather(folders, grid)
    return labels_of(runs, varied(runs))


def runs(root: Path, *changes: dict[str, object]) -> list[Path]:
    """Finished runs that differ by dotted keys, or by words."""
    folders = []
    for n, change in enumerate(changes):
        words = {k: v for k, v in change.items() if "." not in k and k != "seed"}
        config = {k: v for k, v in change.items() if k not in words}
        asked = [f"{k}={v}" for k, v in change.items()]
        folders.append(
            make(root / str(n), words=words, config=config, asked=asked, metrics={"test/mse": 1})
        )
    return folders


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([{"latent.dim": 2}, {"latent.dim": 64}], ["latent.dim=2", "latent.dim=64"]),
        ([{"model": "pca"}, {"model": "vae"}], ["pca", "vae"]),
        ([{"noise": "none"}, {"noise": "gaussian"}], ["none", "gaussian"]),
        (
            [{"network.activation": "relu"}, {"network.activation": "sigmoid"}],
            ["relu", "sigmoid"],
        ),
        (
            [{"model": "ae", "latent.dim": 2}, {"model": "vae", "latent.dim": 8}],
            ["ae · latent.dim=2", "vae · latent.dim=8"],
        ),
        ([{"noise": "none", "seed": 0}, {"noise": "none", "seed": 1}], ["seed=0", "seed=1"]),
        ([{"model": "ae"}, {"model": "ae"}], ["(run 0)", "(run 1)"]),
        ([{"dataset.root": "a$b"}, {"dataset.root": "c\x1b[1m"}], [r"a\$b", "c?[1m"]),
    ],
)
def test_labels_say_what_differs(
    tmp_path: Path, changes: list[dict[str, object]], expected: list[str]
) -> None:
    assert labels(runs(tmp_path, *changes)) == expected


def test_an_experiment_is_called_by_its_name(tmp_path: Path) -> None:
    changes = [{"experiment": name, "latent.dim": n} for n, name in enumerate(("shallow", "deep"))]
    folders = runs(tmp_path, *changes)
    assert labels(folders, [{"experiment": "shallow"}, {"experiment": "deep"}]) == [
        "shallow", "deep",
    ]  # fmt: skip


def test_labels_too_long_are_cut_and_tell_the_runs_apart(tmp_path: Path) -> None:
    same = runs(tmp_path, {"dataset.root": "x" * 80 + "1"}, {"dataset.root": "x" * 80})
    first, second = labels(same)
    assert first != second
    assert max(len(first), len(second)) < 70


@pytest.mark.parametrize(
    ("count", "size", "columns"),
    [
        (3, (660, 520), 2),
        (2, (986, 500), 1),
        (12, (580, 114), 1),  # wide: one below the other
        (4, (450, 400), 2),  # even rows, though three would fit
        (12, (450, 400), 3),
        (2, (5000, 5000), 1),
    ],
)
def test_columns_suit_the_pictures(count: int, size: tuple[int, int], columns: int) -> None:
    assert columns_for(count, *size) == columns


def noise(path: Path, seed: int, width: int, height: int, mode: str = "RGB") -> np.ndarray:
    """A PNG of random dots; returns them."""
    shape = (height, width, len(mode))
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels, mode).save(path)
    return pixels


def drawn(figure: object) -> np.ndarray:
    assert isinstance(figure.canvas, FigureCanvasAgg)  # type: ignore[attr-defined]
    figure.canvas.draw()  # type: ignore[attr-defined]
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]


def test_tiling_keeps_every_dot_and_names_every_run(tmp_path: Path) -> None:
    pictures = [noise(tmp_path / f"{n}.png", n, 300 + n, 200 + 7 * n) for n in range(3)]
    figure = tiled({f"run {n}": tmp_path / f"{n}.png" for n in range(3)})
    assert figure is not None
    page = drawn(figure)
    assert all(holds(page, picture) for picture in pictures)
    assert [text.get_text() for text in figure.texts] == ["run 0", "run 1", "run 2"]


def test_what_is_transparent_is_white_and_what_is_missing_is_told(tmp_path: Path) -> None:
    clear = noise(tmp_path / "clear.png", 0, 40, 30, "RGBA")
    clear[..., 3] = 255
    clear[:10, :, 3] = 0
    Image.fromarray(clear, "RGBA").save(tmp_path / "clear.png")
    noise(tmp_path / "b.png", 1, 40, 30)
    (tmp_path / "torn.png").write_bytes((tmp_path / "b.png").read_bytes()[:200])
    names = ("clear", "b", "torn", "gone")
    figure = tiled({name: tmp_path / f"{name}.png" for name in names})
    assert figure is not None
    expected = clear[..., :3].copy()
    expected[:10] = 255
    assert holds(drawn(figure), expected)
    assert figure.texts[-1].get_text() == "not drawn by: torn, gone"
    assert tiled({name: tmp_path / f"{name}.png" for name in names[1:]}) is None
