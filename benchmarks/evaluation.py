"""All metrics of a VAE on the 10,000 test images of MNIST."""

from __future__ import annotations

import time

from children import call
from options import NETWORKS, Options, common
from table import Row

BOUND = 3.0


def measure(options: Options) -> list[Row]:
    """One row: mse, psnr, ssim, elbo and kl together."""
    arguments = options.arguments("vae") | {"repeats": options.repeats}
    seconds = call("evaluation", options.threads, arguments)
    return [Row("evaluation", "mse, psnr, ssim, elbo, kl of 10,000", "ours", seconds, bound=BOUND)]


def run(network: str, images: int, threads: int, data: str, repeats: int) -> list[float]:
    """Seconds of each evaluation of an untrained model, after one that is not counted."""
    from aecore.config.arguments import parse
    from aecore.config.compose import compose
    from aecore.evaluation.evaluate import evaluate
    from aecore.training.machine import set_threads
    from aecore.training.prepare import prepare
    from aecore.training.setup import build_experiment
    from aecore.training.trial import make_trial

    overrides = [*NETWORKS[network].overrides, *common(images, threads, data)]
    parts = build_experiment(compose(parse(overrides)).config)
    set_threads(threads)
    trial = make_trial(parts, prepare(parts))
    seconds = []
    for _ in range(1 + repeats):
        start = time.perf_counter()
        evaluate(trial)
        seconds.append(time.perf_counter() - start)
    return seconds[1:]
