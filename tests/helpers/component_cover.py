"""Few models that contain every compatible pair of options."""

from __future__ import annotations

import itertools
from collections.abc import Collection

from aecore.tasks.component_pairs import (
    SLOTS,
    Candidate,
    GroupOption,
    Pair,
    PairResults,
    options_of,
    problem,
)
from aecore.types import ImageShape

_TRIES = 4


def cover(found: PairResults, shape: ImageShape) -> list[Candidate]:
    """Candidates that contain every possible pair at least once, 5 times fewer than pairs.

    Greedy: starts from the candidate of an uncovered pair and replaces the options of its other
    config groups by those that cover most further pairs, as long as the model is valid.
    """
    left = dict.fromkeys(found.possible)
    candidates = []
    while left:
        pair = next(iter(left))
        candidate, fixed = found.possible[pair], {slot for slot, _ in pair}
        for slot in (s for s in SLOTS if s not in fixed):
            candidate = _with_most_pairs(candidate, slot, fixed, left, shape)
            fixed.add(slot)
        for covered in pairs_in(candidate):
            left.pop(covered, None)
        left.pop(pair, None)
        candidates.append(candidate)
    return candidates


def pairs_in(candidate: Candidate) -> list[Pair]:
    """The pairs of options in a candidate."""
    return list(itertools.combinations(candidate.options, 2))


def _with_most_pairs(
    candidate: Candidate, slot: str, fixed: set[str], left: Collection[Pair], shape: ImageShape
) -> Candidate:
    """The candidate with the valid option of a config group that covers most pairs of `left`."""
    kept = [option for option in candidate.options if option[0] in fixed]
    gain = {
        name: sum(tuple(sorted((option, (slot, name)), key=_place)) in left for option in kept)
        for name in options_of(slot)
    }
    best = sorted((name for name in gain if gain[name]), key=lambda name: -gain[name])[:_TRIES]
    changed = (candidate.with_options((slot, name)) for name in best)
    return next((other for other in changed if problem(other, shape) is None), candidate)


def _place(option: GroupOption) -> int:
    return SLOTS.index(option[0])
