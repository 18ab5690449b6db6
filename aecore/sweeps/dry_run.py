"""`dry_run=true -m`: the jobs of a grid with what each would take; nothing is written."""

from __future__ import annotations

from aecore.config.arguments import Arguments
from aecore.config.compose import Composition
from aecore.config.terminal import say
from aecore.errors import UserError
from aecore.runs.text_table import table
from aecore.sweeps.plan import check, points
from aecore.training.estimate import Estimate, clock, estimate
from aecore.training.setup import build_experiment
from aecore.training.trainer import quiet

_HEADER = ["job", "parameters", "images", "steps", "time", "overrides"]


def dry_run(arguments: Arguments, composition: Composition) -> int:
    """Check the jobs as a sweep does, time a few steps of each; returns the exit status."""
    if composition.sweeper != "basic":
        raise UserError(
            "dry_run=true: the trials of a search are not known beforehand",
            "leave out hydra/sweeper, or -m for the training of one trial",
        )
    jobs = points(arguments, composition)
    selections = check(arguments, jobs)
    estimates: list[Estimate] = []
    with quiet():
        for job in jobs:
            estimates.append(estimate(build_experiment(selections.config(job)))[0])
    rows = [
        [str(number + 1), f"{one.parameters:,}", f"{one.images:,}", f"{one.steps:,}", one.duration,
         " ".join(o.line for o in job if o.key != "dry_run")]
        for number, (job, one) in enumerate(zip(jobs, estimates, strict=True))
    ]  # fmt: skip
    say(table(_HEADER, rows))
    total = sum(one.seconds or 0.0 for one in estimates)
    say(f"\n{len(jobs)} jobs, about {clock(total)} of training one after another")
    say(f"memory {max(one.memory for one in estimates) / 2**20:,.0f} MiB at most so far")
    say("dry run: nothing is trained or written")
    return 0
