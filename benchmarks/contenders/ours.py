"""run.py itself: bar, losses, TensorBoard, validation and checkpoints as they come."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

from options import NETWORKS, common


def run(network: str, images: int, threads: int, data: str, epochs: int) -> list[float]:
    """Seconds from the end of an epoch to the end of the next, as history.csv has them."""
    from aecore.cli import main

    with tempfile.TemporaryDirectory() as folder:
        status = main(
            [
                *NETWORKS[network].overrides,
                *common(images, threads, data),
                f"trainer.max_epochs={epochs}",
                "trainer/accelerator=cpu",
                "dataset.test_size=1000",  # measured after training, which is not our subject
                f"hydra.run.dir={folder}/run",
            ]
        )
        assert status == 0
        with Path(folder, "run", "history.csv").open(newline="") as file:
            return [float(row["seconds"]) for row in csv.DictReader(file)]
