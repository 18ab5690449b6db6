"""How long until something happens: from the shell to the first training step, or to an answer."""

from __future__ import annotations

import json
import os
import tempfile
import time

from children import HERE, RUN, answer, python, reply
from options import NETWORKS, Options, common
from table import Row

IMPORTS = "import torch, torchvision, pytorch_lightning"
BEYOND_IMPORTS = 0.3
ANSWER = 2.0


def measure(options: Options) -> list[Row]:
    """The imports, the first step, and the answers that need no torch, in turn."""
    answers = {
        "--help": (["--help"], 0),
        "--cfg job": (["--cfg", "job"], 0),
        "a mistyped word": (["modle=vae"], 2),
    }
    imports, first = [], []
    answered: dict[str, list[float]] = {name: [] for name in answers}
    for _ in range(options.repeats):
        imports.append(python("-c", IMPORTS).wall)
        first.append(_first_step(options))
        for name, (words, status) in answers.items():
            answered[name].append(python(RUN, *words, status=status).wall)
    beyond = [f - i for f, i in zip(first, imports, strict=True)]
    return [
        Row("start", IMPORTS, "libraries", imports),
        Row("start", "to the first training step", "ours", first),
        Row("start", "the same without the imports", "ours", beyond, bound=BEYOND_IMPORTS),
        *(Row("start", name, "ours", found, bound=ANSWER) for name, found in answered.items()),
    ]


def _first_step(options: Options) -> float:
    """Seconds from the start of the process."""
    with tempfile.TemporaryDirectory() as folder:
        overrides = [
            *NETWORKS["shallow"].overrides,
            *common(options.images, options.threads, options.data),
            f"hydra.run.dir={folder}/run",
        ]
        done = python(str(HERE / "children.py"), "start", json.dumps({"overrides": overrides}))
    return float(answer(done.output)) - done.started


def run(overrides: list[str]) -> None:
    """run.py, ended where the first training step begins; answers with the time of day."""
    from aecore.cli import main
    from aecore.training.module import Training

    def stop(*arguments: object) -> None:
        reply(time.time())
        os._exit(0)

    Training.training_step = stop  # type: ignore[assignment, method-assign]
    main(overrides)
