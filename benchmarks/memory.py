"""The largest resident memory of an MNIST run, above that of its libraries."""

from __future__ import annotations

import tempfile

from children import RUN, python
from options import NETWORKS, Options, common
from start import IMPORTS
from table import Row

BOUND = 350.0


def measure(options: Options) -> list[Row]:
    """The libraries alone, a run, and the difference, round by round."""
    alone, whole = [], []
    for _ in range(max(1, options.repeats // 2)):
        alone.append(python("-c", IMPORTS).megabytes)
        with tempfile.TemporaryDirectory() as folder:
            done = python(
                RUN,
                *NETWORKS["vae"].overrides,
                *common(options.images, options.threads, options.data),
                "trainer.max_epochs=2",
                f"hydra.run.dir={folder}/run",
            )
        whole.append(done.megabytes)
    above = [a - b for a, b in zip(whole, alone, strict=True)]
    return [
        Row("memory", IMPORTS, "libraries", alone, "MB"),
        Row("memory", "an MNIST run of the VAE", "ours", whole, "MB"),
        Row("memory", "the run above the libraries", "ours", above, "MB", bound=BOUND),
    ]
