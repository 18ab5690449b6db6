"""Few models that contain every compatible pair of options."""

from __future__ import annotations

import itertools
from collections.abc import Collection

from aecore.tasks.component_pairs import SLOTS, Candidate, Pair, PairResults, options_of, problem
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


def pairs_in(candidate: Candidate, slots: Collection[str] = SLOTS) -> list[Pair]:
    """The pairs of options in a candidate, of these config groups."""
    options = [option for option in candidate.options if option[0] in slots]
    return list(itertools.combinations(options, 2))


def _with_most_pairs(
    candidate: Candidate, slot: str, fixed: set[str], left: Collection[Pair], shape: ImageShape
) -> Candidate:
    """The candidate with the valid option of a config group that covers most pairs of `left`."""
    changed = [candidate.with_options((slot, name)) for name in options_of(slot)]
    gain = {
        other: sum(pair in left for pair in pairs_in(other, {*fixed, slot})) for other in changed
    }
    best = sorted(gain, key=lambda other: -gain[other])[:_TRIES]
    return next((c for c in best if gain[c] and problem(c, shape) is None), candidate)
