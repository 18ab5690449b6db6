"""What a training would take: parameters, steps, time and memory; nothing is written."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass
from itertools import chain, islice
from statistics import median

from torch import Generator

from aecore.model.autoencoder import Autoencoder
from aecore.training.machine import device_of, set_up_machine
from aecore.training.optimizers.gradient import GradientDescent
from aecore.training.prepare import prepare
from aecore.training.setup import Experiment

_STEPS = 20  # that are timed, at most


@dataclass(frozen=True)
class Estimate:
    """What a training would take.

    parameters: that are trained. images: of training. steps: in all. timed: steps that were timed.
    seconds: of all steps; None for a solution in closed form.
    memory: the largest of this process so far, in bytes.
    """

    parameters: int
    images: int
    steps: int
    timed: int
    seconds: float | None
    memory: int

    @property
    def duration(self) -> str:
        """The time as text."""
        return "not estimated" if self.seconds is None else f"about {clock(self.seconds)}"


def estimate(experiment: Experiment) -> tuple[Estimate, Autoencoder]:
    """Build the model of an experiment and time a few of its steps; UserError as a training.

    Returns the model too, which these steps have changed.
    """
    set_up_machine(experiment.config)
    model = prepare(experiment)
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    times = [*_step_times(experiment, model)]
    steps = experiment.max_epochs * experiment.data.train_dataloader().steps if times else 0
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Estimate(
        parameters,
        len(experiment.data.train),
        steps,
        len(times),
        median(times) * steps if times else None,
        kilobytes * (1 if sys.platform == "darwin" else 1024),
    ), model


def _step_times(experiment: Experiment, model: Autoencoder) -> list[float]:
    """Seconds of some steps of training on the device, without what surrounds them."""
    if not isinstance(experiment.optimizer, GradientDescent):
        return []
    device = device_of(experiment.config)
    optimizer = experiment.optimizer(model.to(device).train().parameter_groups())
    generator = Generator(device=device).manual_seed(experiment.config.seed)
    times = []
    batches = chain.from_iterable(experiment.data.train_dataloader().to(device))
    for batch in islice(batches, _STEPS):
        start = time.perf_counter()
        terms = model.terms(
            batch.x, generator, epoch=0.0, noisy=True, y=batch.y, target=batch.target
        )
        optimizer.zero_grad()
        loss = sum(terms.critics.values(), terms.loss)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        loss.item()  # waits for the device
        times.append(time.perf_counter() - start)
    return times


def clock(seconds: float) -> str:
    """`0:12` or `1:02:30`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
