"""Samples of a VQ-VAE of MNIST: a prior over indices against densities fitted to codes.

    python benchmarks/prior.py

Trains `model=vq_vae` for two epochs, or opens the run of `--run`, fits each sampler to 10,000
training images where it says no other number, and writes results/prior.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from aecore.cli import main as aecore
from aecore.config.arguments import parse
from aecore.config.compose import compose
from aecore.evaluation.evaluate import evaluate
from aecore.runs.open import open_run
from aecore.training.fit_sampler import fit_sampler
from aecore.training.machine import set_threads
from aecore.training.setup import build_experiment
from aecore.training.trial import make_trial

RESULTS = Path(__file__).with_name("results") / "prior.md"
SAMPLERS = {
    "`sampler=autoregressive`": ["sampler=autoregressive"],
    "`sampler=autoregressive sampler.images=50000 sampler.epochs=4`": [
        "sampler=autoregressive",
        "sampler.images=50000",
        "sampler.epochs=4",
    ],
    "`sampler=gmm sampler.covariance=diag`": ["sampler=gmm", "sampler.covariance=diag"],
    "`sampler=gaussian`": ["sampler=gaussian"],
}
MODEL = ["model=vq_vae", "dataset=mnist", "figures=none"]
METRICS = "evaluate.metrics=[frechet,index_bits]"
TEXT = """Samples of `model=vq_vae dataset=mnist trainer.max_epochs=2`, whose code is 7 x 7 indices of 128 entries.
`python benchmarks/prior.py` makes this table: the Frechet distance of 5,000 samples to 5,000 test images
by the features of a small classifier (`frechet_cnn_samples`; of reconstructions {reconstructions:.3f}, of training
images {training:.3f}), and the bits of an index of the test images. An index takes log2 128 = 7 bits as it is, and
{entropy:.3f} bits by its frequency in the test images at each position.

| sampler | Frechet distance | precision | recall | bits per index |
| --- | --- | --- | --- | --- |
"""  # noqa: E501


def measure(run: Path, threads: int) -> dict[str, dict[str, float]]:
    """The metrics of each sampler of a trained run."""
    found = {}
    for name, overrides in SAMPLERS.items():
        arguments = [*MODEL, METRICS, f"trainer.threads={threads}", *overrides]
        experiment = build_experiment(compose(parse(arguments)).config)
        set_threads(threads)
        model, sampler = open_run(run).model(sampler=False), experiment.components.sampler
        assert sampler is not None
        model.sampler = fit_sampler(sampler, experiment.data, experiment.config, model)
        trial = make_trial(experiment, model)
        found[name] = evaluate(trial, metrics=experiment.metrics)
        print(name, found[name], flush=True)
    return found


def table(found: dict[str, dict[str, float]]) -> str:
    """The page of results."""
    first = next(iter(found.values()))
    text = TEXT.format(
        reconstructions=first["test/frechet_cnn_reconstructions"],
        training=first["test/frechet_cnn_training"],
        entropy=first["test/index_entropy"],
    )
    for name, row in found.items():
        keys = ("frechet_cnn_samples", "precision_cnn", "recall_cnn", "index_bits")
        cells = [f"{row[f'test/{k}']:.3f}" if f"test/{k}" in row else "" for k in keys]
        text += f"| {' | '.join([name, *cells])} |\n"
    return text


def main() -> None:
    """Train, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", type=Path, help="a trained run, in place of a new one")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        run = options.run or Path(folder, "run")
        if options.run is None:
            fixed = ["trainer.max_epochs=2", "logger=none", f"hydra.run.dir={run}"]
            aecore([*MODEL, *fixed, f"trainer.threads={options.threads}"])
        RESULTS.write_text(table(measure(run, options.threads)))


if __name__ == "__main__":
    main()
