"""A sweep of many small runs in one process, against what it consists of."""

from __future__ import annotations

import tempfile
from statistics import median

from children import RUN, call, python
from options import NETWORKS, Options, common
from start import IMPORTS
from table import Row

EPOCHS = 2
A_JOB = 0.15


def measure(options: Options) -> list[Row]:
    """The parts and the sweep, round by round."""
    plain, imports, evaluations, bounds, whole = [], [], [], [], []
    for _ in range(max(1, options.repeats // 2)):
        loop = call(
            "contenders.plain", options.threads, options.arguments("shallow") | {"epochs": 4}
        )
        plain.append(options.jobs * EPOCHS * median(loop[1:]))
        imports.append(python("-c", IMPORTS).wall)
        found = call("evaluation", options.threads, options.arguments("shallow") | {"repeats": 3})
        evaluations.append(options.jobs * median(found))
        bounds.append(plain[-1] + imports[-1] + evaluations[-1] + options.jobs * A_JOB)
        whole.append(_sweep(options))
    jobs = f"{options.jobs} jobs of {EPOCHS} epochs"
    return [
        Row("sweep", f"{jobs}: their epochs", "plain", plain),
        Row("sweep", f"{jobs}: their evaluation", "ours", evaluations),
        Row("sweep", f"{jobs}, in one process", "ours", whole, bound=median(bounds)),
    ]


def _sweep(options: Options) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return python(
            RUN,
            "-m",
            *NETWORKS["shallow"].overrides,
            *common(options.images, options.threads, options.data),
            f"trainer.max_epochs={EPOCHS}",
            f"seed=range({options.jobs})",
            f"hydra.sweep.dir={folder}/sweep",
        ).wall
