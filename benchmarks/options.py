"""What to measure, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BATCH = 256


@dataclass(frozen=True)
class Network:
    """A network of the epoch's table, and how run.py is asked for it."""

    title: str
    overrides: tuple[str, ...]


NETWORKS = {
    "shallow": Network(
        "784-64-784",
        ("model=ae", "network.hidden=[]", "latent.dim=64", "latent.activation=relu"),
    ),
    "deep": Network(
        "784-512-256-128-30, 128-256-784",
        ("model=deep_ae", "network.decoder_hidden=[128,256]", "latent.dim=30"),
    ),
    "conv": Network(
        "convolutions 8-16-16, transposed back",
        ("model=conv_ae", "network=conv_small"),
    ),
    "vae": Network(
        "VAE 512-256, code 20, Bernoulli",
        ("model=vae", "network.hidden=[512,256]", "latent.dim=20"),
    ),
}
CONTENDERS = ("ours", "plain", "notebook", "lightning", "pythae", "jax", "limit")
SLOW = ("notebook", "lightning", "pythae")  # seconds an epoch: few repeats say enough


@dataclass(frozen=True)
class Options:
    """Those of the command line.

    images: training images an epoch; data: the folder that holds MNIST.
    epochs, slow_epochs: measured epochs in one process, after one that is not counted.
    """

    networks: tuple[str, ...]
    contenders: tuple[str, ...]
    repeats: int
    slow_repeats: int
    epochs: int
    slow_epochs: int
    images: int
    threads: int
    data: str
    jobs: int  # of the sweep
    quick: bool = False  # small sizes, to try a section

    def arguments(self, network: str) -> dict[str, Any]:
        """For a contender's `run`, but for the epochs."""
        return {
            "network": network,
            "images": self.images,
            "threads": self.threads,
            "data": self.data,
        }


def common(images: int, threads: int, data: str) -> list[str]:
    """Overrides of every run of ours."""
    return [
        "dataset=mnist",
        f"dataset.batch_size={BATCH}",
        f"dataset.train_size={images}",
        f"trainer.threads={threads}",
        f"paths.data_dir={data}",
        "figures=none",
    ]
