"""What the contractive penalty costs a training step of 784-128-32."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

from children import call
from options import Options, common
from table import Row

BOUNDS = {"exact": 3.5, "estimate": 1.6}
_OVERRIDES = {
    "none": ["penalty=none"],
    "exact": ["penalty.contractive.method=exact"],
    "estimate": ["penalty.contractive.method=estimate"],
}
_STEPS = 20


def measure(options: Options) -> list[Row]:
    """The step without the penalty, and what the two ways to compute it multiply it by."""
    arguments = {
        "images": options.images,
        "threads": options.threads,
        "data": options.data,
        "rounds": 4 * options.repeats,
    }
    found: dict[str, list[float]] = call("contractive", options.threads, arguments)
    rows = [Row("contractive", "step without penalty", "ours", found["none"], "ms")]
    for method, bound in BOUNDS.items():
        times = [a / b for a, b in zip(found[method], found["none"], strict=True)]
        rows.append(Row("contractive", method, "ours", times, "times the step", bound=bound))
    return rows


def run(images: int, threads: int, data: str, rounds: int) -> dict[str, list[float]]:
    """Milliseconds a step, method by method in turn, after a round that is not counted."""
    import torch

    from aecore.config.arguments import parse
    from aecore.config.compose import compose
    from aecore.training.machine import set_threads
    from aecore.training.optimizers.gradient import GradientDescent
    from aecore.training.prepare import prepare
    from aecore.training.setup import build_experiment

    set_threads(threads)
    steppers: dict[str, Any] = {}
    for method, more in _OVERRIDES.items():
        overrides = ["model=contractive", "latent.dim=32", *more, *common(images, threads, data)]
        parts = build_experiment(compose(parse(overrides)).config)
        assert isinstance(parts.optimizer, GradientDescent)
        model = prepare(parts)
        x = next(iter(next(iter(parts.data.train_dataloader())))).x
        steppers[method] = model, parts.optimizer(model.parameters()), x
    generator = torch.Generator().manual_seed(0)
    found: dict[str, list[float]] = {method: [] for method in steppers}
    for _ in range(1 + rounds):
        for method, (model, optimizer, x) in steppers.items():
            times = []
            for _ in range(_STEPS):
                start = time.perf_counter()
                loss = model.terms(x, generator, epoch=0.0, noisy=True).loss
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                times.append(time.perf_counter() - start)
            found[method].append(1000 * median(times))
    return {method: times[1:] for method, times in found.items()}
