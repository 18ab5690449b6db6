"""`task=combinations`: which words cannot go together, and why."""

from __future__ import annotations

from typing_extensions import override

from aecore.config.component import component
from aecore.tasks.base import Request, Task
from aecore.tasks.component_pairs import combinations, summary
from aecore.training.prepare import common_shape
from aecore.training.setup import build_experiment


class Combinations(Task):
    """Tries every pair of words on the shape of the data set's images; prints the refusals.

    Options stand as in the files of conf/ and in the presets: what another option would make
    possible is refused here too.
    """

    @component
    def __init__(self) -> None: ...

    @override
    def __call__(self, request: Request) -> dict[str, float]:
        shape = common_shape(build_experiment(request.config).data)
        found = combinations(shape)
        print("\n".join(summary(found.refused)))
        together, not_so = len(found.possible), len(found.refused)
        print(f"\n{together} of {together + not_so} pairs of words go together, {not_so} not")
        return {}
