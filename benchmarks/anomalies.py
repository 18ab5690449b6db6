"""Where defects are: the errors of autoencoders against the residual of PCA.

    python benchmarks/anomalies.py

Trains each model on the good images of `dataset=defects` with three seeds, scores its test images
with `task=score`, and writes results/anomalies.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory

from aecore.cli import main as aecore

RESULTS = Path(__file__).with_name("results") / "anomalies.md"
MODELS = (
    "model=pca latent.dim=16",
    "model=pca latent.dim=32",
    "model=ae latent.dim=16",
    "model=denoising latent.dim=16 noise.std=0.1",
)
SMOOTH = (0, 1)  # pixels
TEXT = """`python benchmarks/anomalies.py` makes this table: models of the good images of `dataset=defects` (stripes, 32 x
32), and how well their squared error finds the defects of the 300 test images. AUROC of images: a good image
against one with a scratch or a spot, by its mean error; of pixels: a normal pixel against one of a defect, also
where errors are smoothed (`score.smooth=1`). Means and standard deviations of {seeds} seeds, which draw the weights,
the order and the validation images.

| model | test MSE of all images | AUROC of images | AUROC of pixels | smoothed |
| --- | --- | --- | --- | --- |
"""  # noqa: E501


def measure(model: str, seed: int, folder: Path) -> list[float]:
    """The test error, and the AUROC of images, of pixels, and of pixels with smoothed errors."""
    common = ["trainer.threads=1"]
    words = [*model.split(), "dataset=defects", f"seed={seed}", "figures=none", "logger=none"]
    if aecore([*words, *common, f"hydra.run.dir={folder}/run"]):
        raise SystemExit(f"{model}: failed")
    found = [json.loads((folder / "run/metrics.json").read_text())["test/mse"]]
    for smooth in SMOOTH:
        out = folder / f"score_{smooth}"
        task = [f"run={folder}/run", "task=score", f"score.smooth={smooth}", f"out={out}"]
        if aecore([*task, *common]):
            raise SystemExit(f"{model}: failed")
        scores = json.loads((out / "metrics.json").read_text())
        found += [scores["auroc"]] * (not smooth) + [scores["pixel_auroc"]]
    return found


def row(model: str, runs: list[list[float]]) -> str:
    """A line of the table; runs: what `measure` found with each seed."""
    cells = [f"`{model}`"]
    for values in zip(*runs, strict=True):
        spread = stdev(values) if len(values) > 1 else 0.0
        cells.append(f"{mean(values):.4f} ± {spread:.4f}")
    return f"| {' | '.join(cells)} |\n"


def main() -> None:
    """Train, score and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    text = TEXT.format(seeds=options.seeds)
    for model in MODELS:
        runs = []
        for seed in range(options.seeds):
            with TemporaryDirectory() as folder:
                runs.append(measure(model, seed, Path(folder)))
        text += row(model, runs)
        print(row(model, runs), end="", flush=True)
    RESULTS.write_text(text)


if __name__ == "__main__":
    main()
