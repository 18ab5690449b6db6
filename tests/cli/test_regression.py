"""Numbers of before: small runs of the main presets give what they gave, on another CPU too.

What is meant to change them writes them anew, and the change of the file shows what became of them:

    PYTHONPATH=.:tests python tests/cli/test_regression.py

Nothing but the command line is used here, so that what lies behind it may be arranged otherwise.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest

from helpers.commands import called

RECORDED = Path(__file__).with_name("regression.json")
RUNS = {  # overrides of each; what a preset says itself is left to it
    "ae": [],
    "k_sparse": [],
    "denoising": [],
    "contractive": [],
    "conv_ae": [],
    "vae": ["latent.dim=8", "optimizer.lr=0.002", "trainer.max_epochs=4"],
    "beta_tcvae": ["latent.dim=4", "optimizer.lr=0.003"],
    "iwae": [],
    "aae": [],
    "vq_vae": [],
    "pca": [],
}
SMALL = [
    "dataset=digits", "dataset.train_size=640", "dataset.val_size=64", "dataset.test_size=200",
    "dataset.batch_size=32", "trainer.max_epochs=2", "trainer.threads=1", "seed=0",
    "figures=none", "logger=none",
]  # fmt: skip
NAMES = ("test/loss", "test/mse", "test/elbo")
TOLERANCE = 1e-3  # relative, since CPUs sum in other orders; those tried differ by up to 7e-5


def measured(preset: str, folder: Path) -> dict[str, float]:
    """Those of these metrics that a run of this preset leaves."""
    called(f"model={preset}", *SMALL, *RUNS[preset], f"paths.output_dir={folder}")
    (file,) = folder.rglob("metrics.json")
    found = json.loads(file.read_text())
    return {name: found[name] for name in NAMES if name in found}


@pytest.mark.parametrize("preset", RUNS)
def test_the_numbers_of_before(
    preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recorded = json.loads(RECORDED.read_text())[preset]
    assert measured(preset, tmp_path / "outputs") == pytest.approx(recorded, rel=TOLERANCE)


def test_nothing_else_is_recorded() -> None:
    assert json.loads(RECORDED.read_text()).keys() == RUNS.keys()


def write() -> None:
    """Write the file anew."""
    found = {}
    for preset in RUNS:
        with tempfile.TemporaryDirectory() as folder:
            numbers = measured(preset, Path(folder))
        found[preset] = {name: float(f"{value:.7g}") for name, value in numbers.items()}
    RECORDED.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as conftest.py has it
    write()
