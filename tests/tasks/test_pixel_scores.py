"""`task=score` of images whose anomalous pixels are known, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from sklearn.metrics import roc_auc_score

import aecore
from aecore.cli import main
from aecore.data.pixels import resized, resized_masks
from aecore.data.split import Split
from aecore.evaluation.metrics.error_map import error_map
from aecore.training.setup import build_data
from helpers.image_files import mvtec

TINY = ["logger=none", "figures=none", "trainer.threads=1"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PCA of a folder in the layout of MVTec AD, beside it; not to be changed."""
    folder = tmp_path_factory.mktemp("mvtec")
    mvtec(folder / "images", 12, 16)
    data = [f"dataset.root={folder}/images", "dataset.image_size=[9,12]", "dataset.val_size=1"]
    words = ["model=pca", "latent.dim=1", "dataset=image_folder", *data, *TINY]
    assert main([*words, f"hydra.run.dir={folder}/run"]) == 0
    return folder / "run"


def metrics(run: Path, out: Path, *overrides: str) -> dict[str, float]:
    assert main([f"run={run}", "task=score", f"out={out}", "score.columns=2", *overrides]) == 0
    assert (out / "top_anomalies.png").stat().st_size > 1000
    found: dict[str, float] = json.loads((out / "metrics.json").read_text())
    return found


def by_hand(ae: aecore.Trained, split: Split, smooth: float = 0.0) -> float:
    """scikit-learn's AUROC of all pixels."""
    assert split.masks is not None
    x = split.pixels()
    errors = error_map(torch.from_numpy(ae.reconstruct(x.numpy())), x, smooth)
    return float(roc_auc_score(split.masks.flatten(), errors.flatten()))


@pytest.mark.parametrize("smooth", [0, 1.5])
def test_the_layout_of_mvtec(
    run: Path, tmp_path: Path, smooth: float, capsys: pytest.CaptureFixture
) -> None:
    found = metrics(run, tmp_path / "out", f"score.smooth={smooth}")
    ae = aecore.load(run, device="cpu")
    assert ae.run is not None
    test = build_data(ae.run.config).test
    assert found["images"] == 4 and found["auroc"] == 1, "of good images and of cracks"
    assert found["pixel_auroc"] == pytest.approx(by_hand(ae, test, smooth), abs=1e-3)
    assert found["pixel_auroc"] > 0.5
    assert test.masks is not None
    marked, suffix = int(test.masks.sum()), " smoothed by 1.5 pixels" if smooth else ""
    line = f"{marked} anomalous ones against {4 * 9 * 12 - marked}, by the squared error{suffix}"
    assert f"pixels     AUROC {found['pixel_auroc']:.4f}, {line}\n" in capsys.readouterr().out


def test_resized_to_the_shape_of_the_model(run: Path, tmp_path: Path) -> None:
    root = run.parent / "images"
    data = ["dataset=image_folder", f"dataset.root={root}", "dataset.image_size=16"]
    found = metrics(run, tmp_path / "out", *data, "resize=true")
    ae = aecore.load(run, device="cpu")
    assert ae.run is not None
    node = ae.run.config.dataset | {"image_size": 16}
    large = build_data(ae.run.config.model_copy(update={"dataset": node})).test
    assert large.masks is not None and large.image_shape == (1, 16, 16)
    images, masks = resized(large.images, (1, 9, 12)), resized_masks(large.masks, (1, 9, 12))
    wanted = by_hand(ae, Split(images, masks=masks))
    assert found["pixel_auroc"] == pytest.approx(wanted, abs=1e-3)


def test_good_images_alone_have_none(run: Path, tmp_path: Path) -> None:
    assert "pixel_auroc" not in metrics(run, tmp_path / "out", "split=train")
