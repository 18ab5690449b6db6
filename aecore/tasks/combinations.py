"""`task=combinations`: which options are not compatible, and why."""

from __future__ import annotations

from typing_extensions import override

from aecore.config.terminal import say
from aecore.tasks.base import Request, Task
from aecore.tasks.component_pairs import check_pairs, summary
from aecore.training.prepare import common_shape
from aecore.training.setup import build_experiment


class Combinations(Task):
    """Tries every pair of options on the shape of the data set's images; prints the refused ones.

    All other values are those of conf/ and of the presets: a pair that needs another value is
    refused here too.
    """

    @override
    def __call__(self, request: Request) -> dict[str, float]:
        shape = common_shape(build_experiment(request.config).data)
        results = check_pairs(shape)
        say("\n".join(summary(results.refused)))
        possible, total = len(results.possible), len(results.possible) + len(results.refused)
        say(f"\n{possible} of {total} pairs of options are compatible, {total - possible} not")
        return {}
