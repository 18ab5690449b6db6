"""Seconds an epoch of MNIST takes, contender against contender."""

from __future__ import annotations

import sys
from collections import defaultdict
from importlib.util import find_spec
from statistics import median

from children import FailedError, call
from options import CONTENDERS, NETWORKS, SLOW, Options
from table import Row

MODULES = {"lightning": "with_lightning", "pythae": "with_pythae", "jax": "with_jax"}
NEEDS = {"pythae": ("pythae",), "jax": ("jax", "optax")}
# XLA's convolutions take some 24 s an epoch on a CPU: no mark to be measured by
UNFIT = {("jax", "conv"): "its convolutions are not made for processors"}


def measure(options: Options) -> list[Row]:
    """A row for each network and contender.

    Every round starts each contender once, in a process of its own and with an order that turns
    round by round; its figure is the median of the epochs after the first. So what disturbs the
    machine for a while disturbs all of them, and ratios are those within a round.
    """
    rows = []
    for network in options.networks:
        seconds: dict[str, dict[int, float]] = defaultdict(dict)
        notes = {who: note for (who, where), note in UNFIT.items() if where == network}
        for turn in range(options.repeats):
            shift = turn % len(options.contenders)
            for who in options.contenders[shift:] + options.contenders[:shift]:
                if who in notes or (who in SLOW and turn >= options.slow_repeats):
                    continue
                missing = [name for name in NEEDS.get(who, ()) if find_spec(name) is None]
                if missing:
                    notes[who] = f"{', '.join(missing)} is not installed"
                    continue
                try:
                    seconds[who][turn] = _epoch(who, network, options)
                except FailedError as error:
                    notes[who] = f"failed: {str(error).splitlines()[-1]}"
                    print(error, file=sys.stderr)
        ours = seconds.get("ours", {})
        for who in (c for c in CONTENDERS if c in options.contenders):
            mine = seconds.get(who, {})
            ratios = [] if who == "ours" else [ours[t] / mine[t] for t in mine if t in ours]
            values, note = list(mine.values()), notes.get(who, "")
            rows.append(Row("epoch", NETWORKS[network].title, who, values, "s", ratios, note=note))
    return rows


def _epoch(who: str, network: str, options: Options) -> float:
    print(f"epoch: {network}, {who}", file=sys.stderr)
    epochs = 1 + (options.slow_epochs if who in SLOW else options.epochs)
    arguments = options.arguments(network) | {"epochs": epochs}
    seconds: list[float] = call(f"contenders.{MODULES.get(who, who)}", options.threads, arguments)
    return median(seconds[1:])
