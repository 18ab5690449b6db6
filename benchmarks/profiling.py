"""`python benchmarks/profiling.py`: where the time of a training step goes, ours beside plain.

Two tables for a network: what a step consists of, and the operators that take longest. The
profiler itself slows a step: the first table's seconds are those without it, its shares with it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile
from typing_extensions import override

from aecore.config.arguments import parse
from aecore.config.compose import compose
from aecore.training.fit import fit
from aecore.training.loggers.base import RunLogger
from aecore.training.machine import set_threads
from aecore.training.prepare import prepare
from aecore.training.setup import build_experiment
from contenders import plain
from machine import cores, describe
from options import BATCH, NETWORKS, common

TOP = 22


@dataclass
class Found:
    """One epoch without the profiler and one with it; microseconds a step of each operator."""

    steps: int
    seconds: list[float] = field(default_factory=list)
    own: dict[str, float] = field(default_factory=dict)
    calls: dict[str, float] = field(default_factory=dict)
    total: dict[str, float] = field(default_factory=dict)

    def read(self, profiler: profile) -> None:
        """Take the figures of a finished profile."""
        for event in profiler.key_averages():
            self.own[event.key] = event.self_cpu_time_total / self.steps
            self.total[event.key] = event.cpu_time_total / self.steps
            self.calls[event.key] = event.count / self.steps

    @property
    def step(self) -> float:
        """Microseconds a step, unprofiled."""
        return 1e6 * self.seconds[0] / self.steps

    def parts(self) -> dict[str, float]:
        """What a profiled step consists of, in microseconds."""
        optimizer = sum(t for k, t in self.total.items() if k.startswith("Optimizer.step"))
        operators = sum(self.own.values())
        profiled = 1e6 * self.seconds[1] / self.steps
        return {
            "a step": self.step,
            "a step under the profiler": profiled,
            "  in the optimizer": optimizer,
            "  in other operators": operators - optimizer,
            "  between operators: Python": profiled - operators,
        }


class Window(RunLogger):
    """A logger that times the second epoch of a run and profiles the third.

    An epoch ends where its validation is logged, so each is whole: batches, steps, losses read,
    checkpoint and history of the epoch before, validation.
    """

    def __init__(self, found: Found) -> None:
        super().__init__(Path(os.devnull), None)
        self.found, self.epochs, self.start = found, 0, 0.0
        self.profiler = profile(activities=[ProfilerActivity.CPU])

    @override
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if "val/loss" not in metrics:
            return
        now = time.perf_counter()
        self.epochs += 1
        if self.epochs > 1:
            self.found.seconds.append(now - self.start)
        if self.epochs == 3:
            self.profiler.stop()
            self.found.read(self.profiler)
        elif self.epochs == 2:
            self.profiler.start()
        self.start = time.perf_counter()


def profile_ours(network: str, images: int, threads: int, data: str) -> Found:
    """The real fit, three epochs, without TensorBoard."""
    more = ["logger=none", "trainer.max_epochs=3", "trainer/accelerator=cpu"]
    overrides = [*NETWORKS[network].overrides, *common(images, threads, data), *more]
    parts = build_experiment(compose(parse(overrides)).config)
    set_threads(threads)
    found = Found(-(-images // BATCH))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "checkpoints").mkdir()
        fit(parts, prepare(parts), Path(folder), loggers=[Window(found)])
    return found


def profile_plain(network: str, images: int, threads: int, data: str) -> Found:
    """The loop written by hand, of the table of speed.py."""
    found = Found(-(-images // BATCH))
    epochs = plain.each(network, images, threads, data)
    next(epochs)
    found.seconds.append(next(epochs))
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        found.seconds.append(next(epochs))
    found.read(profiler)
    return found


def show(ours: Found, other: Found) -> None:
    """Print both tables."""
    print(f"\n{'microseconds a step':<44}{'ours':>10}{'plain':>10}{'more':>10}")
    parts = other.parts()
    for name, value in ours.parts().items():
        print(f"{name:<44}{value:>10.0f}{parts[name]:>10.0f}{value - parts[name]:>+10.0f}")
    print(f"\n{'operator (its own time)':<44}{'ours':>10}{'plain':>10}{'more':>10}{'calls':>14}")
    longest = {k: max(ours.own.get(k, 0), other.own.get(k, 0)) for k in {*ours.own, *other.own}}
    for name in sorted(longest, key=lambda k: -longest[k])[:TOP]:
        a, b = ours.own.get(name, 0.0), other.own.get(name, 0.0)
        calls = f"{ours.calls.get(name, 0):.1f} / {other.calls.get(name, 0):.1f}"
        print(f"{name[:43]:<44}{a:>10.1f}{b:>10.1f}{a - b:>+10.1f}{calls:>14}")


def main() -> None:
    """Profile the networks that the command line names."""
    parser = argparse.ArgumentParser(description="where the time of a training step goes")
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), help=", ".join(NETWORKS))
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--images", type=int, default=55_000, help="of each epoch")
    parser.add_argument("--data", default=os.environ.get("AECORE_DATA_DIR", "data"))
    given = parser.parse_args()
    for network in given.networks:
        if network not in NETWORKS:
            parser.error(f"{network} is none of {', '.join(NETWORKS)}")
    torch.set_num_threads(given.threads)
    print("; ".join(f"{name}: {value}" for name, value in describe(given.threads).items()))
    arguments = given.images, given.threads, str(Path(given.data).absolute())
    for network in given.networks:
        print(f"\n== {NETWORKS[network].title}")
        show(profile_ours(network, *arguments), profile_plain(network, *arguments))


if __name__ == "__main__":
    main()
