"""A training step against the same step by hand: epochs in turn, in one process.

What surrounds the steps (validation, checkpoint, history) is left out: `epoch` measures it.
Neighbouring epochs see the same machine, so their ratios vary less than the seconds do.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from itertools import chain, product
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback

from children import call
from machine import cores
from options import BATCH, NETWORKS, Options, common
from table import Row

PAIRS = 15
IMAGES = 55_000
SMALL, LARGE = (1.05, 1.10), 0.85  # the marks: of 784-64-784 on one thread and on more


def measure(options: Options) -> list[Row]:
    """Two rows, ours and plain, for each network, size of a batch and number of threads."""
    rows = []
    pairs = PAIRS if options.images >= IMAGES else 2
    for network, threads in product(options.networks, sorted({1, cores()})):
        for batch in (BATCH, BATCH // 2) if network == "shallow" else (BATCH,):
            sized = {"batch": batch, "pairs": pairs}
            times = call("step", threads, options.arguments(network) | sized | {"threads": threads})
            steps = -(-options.images // batch)
            ours, plain = ([1e3 * t / steps for t in side] for side in zip(*times, strict=True))
            what = f"{NETWORKS[network].title}, batch {batch}, threads {threads}"
            ratios = [a / b for a, b in zip(ours, plain, strict=True)]
            mark = SMALL[threads > 1] if network == "shallow" else LARGE
            rows.append(Row("step", what, "ours", ours, "ms"))
            rows.append(Row("step", what, "plain", plain, "ms", ratios, ratio_bound=mark))
    return rows


class Turns(Callback):
    """After each epoch of ours one by hand; the first of both is not counted."""

    def __init__(self, plain: Iterator[float]) -> None:
        self.plain = plain
        self.seconds: list[tuple[float, float]] = []

    def on_train_epoch_start(self, *_: object) -> None:
        """Start the clock."""
        self.start = time.perf_counter()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *chunk: Any) -> None:
        """Stop it with the last step, and give the other its turn."""
        if chunk[-1] + 1 == trainer.num_training_batches:
            self.seconds.append((time.perf_counter() - self.start, next(self.plain)))


def run(
    network: str, images: int, threads: int, data: str, batch: int, pairs: int
) -> list[tuple[float, float]]:
    """Seconds of the steps of an epoch, ours and by hand, `pairs` times."""
    from aecore.config.arguments import parse
    from aecore.config.compose import compose
    from aecore.training.fit import fit
    from aecore.training.machine import set_threads
    from aecore.training.prepare import prepare
    from aecore.training.setup import build_experiment
    from contenders import plain

    more = [f"dataset.batch_size={batch}", f"trainer.max_epochs={pairs + 1}", "logger=none"]
    more += ["trainer/accelerator=cpu", "dataset.val_size=0"]
    overrides = chain(NETWORKS[network].overrides, common(images, threads, data), more)
    experiment = build_experiment(compose(parse([*overrides])).config)
    set_threads(threads)
    turns = Turns(plain.each(network, images, threads, data, batch))
    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng():
        Path(folder, "checkpoints").mkdir()
        fit(experiment, prepare(experiment), Path(folder), callbacks=[turns])
    return turns.seconds[1:]
