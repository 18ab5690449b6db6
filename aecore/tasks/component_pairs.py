"""Which options are compatible: tries every pair of options of two config groups.

An option may require others (`penalty=kl` a posterior), so a pair counts as possible if any preset
with these two options is a valid model.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
import yaml

from aecore.config.arguments import parse
from aecore.config.compose import compose
from aecore.config.folders import flags, known
from aecore.errors import UserError
from aecore.training.setup import Experiment, build_experiment
from aecore.types import ImageShape

SLOTS = ("network", "latent", "noise", "penalty", "reconstruction", "prior", "objective")
GroupOption = tuple[str, str]  # a config group and an option of it
Pair = tuple[GroupOption, GroupOption]
_TRIES = 4


@dataclass(frozen=True, eq=False)
class Candidate:
    """A preset, possibly with some options replaced.

    chosen: the option of each config group; None if it is not a single one.
    """

    preset: str
    experiment: Experiment
    chosen: Mapping[str, str | None]

    def with_options(self, *options: GroupOption) -> Candidate:
        """A copy with these options; those that it has already keep the values of the preset."""
        new = [option for option in options if self.chosen[option[0]] != option[1]]
        parts = {field: part for option in new for field, part in build_option(*option).items()}
        components = replace(self.experiment.components, **parts)
        experiment = replace(self.experiment, components=components)
        return replace(self, experiment=experiment, chosen={**self.chosen, **dict(new)})

    def fits(self, shape: ImageShape) -> UserError | None:
        """None if the model can be built for images of this shape, else the error."""
        try:
            with torch.device("meta"):  # shapes only, no memory
                self.experiment.components.autoencoder(shape)
        except UserError as error:
            return error
        return None


@dataclass(frozen=True)
class PairResults:
    """The results for all pairs of options.

    possible: a valid candidate for each compatible pair. refused: the error of each other pair.
    """

    possible: Mapping[Pair, Candidate]
    refused: Mapping[Pair, UserError]


def options_of(slot: str) -> list[str]:
    """Every option of a config group."""
    return sorted(known(slot))


@cache
def build_option(slot: str, name: str) -> dict[str, Any]:
    """An option of a config group, as fields of `Components`."""
    config = dict(_plain_config())
    text = known(slot)[name].read_text()
    if "${" in text or "defaults:" in text:  # needs Hydra, which is slower
        config[slot] = compose(parse([*flags(), f"{slot}={name}"])).config[slot]
    else:
        config[slot] = yaml.safe_load(text)
    components = build_experiment(deepcopy(config)).components
    fields = ("penalties", "weights") if slot == "penalty" else (slot,)
    return {field: getattr(components, field) for field in fields}


@cache
def _plain_config() -> Mapping[str, Any]:
    return compose(parse(["model=ae", "figures=none"])).config


def presets() -> list[Candidate]:
    """The candidate of each preset."""
    candidates = []
    for name in options_of("model"):
        job = compose(parse([*flags(), f"model={name}", "figures=none"]))
        options = {slot: job.choices.get(slot) for slot in SLOTS}
        chosen = {slot: o if isinstance(o, str) else None for slot, o in options.items()}
        candidates.append(Candidate(name, build_experiment(job.config), chosen))
    return candidates


def pairs() -> Iterator[Pair]:
    """Every pair of options of two different config groups."""
    for one, other in itertools.combinations(SLOTS, 2):
        names = itertools.product(options_of(one), options_of(other))
        yield from (((one, a), (other, b)) for a, b in names)


@cache
@cache
def check_pairs(shape: ImageShape) -> PairResults:
    """Try every pair of options on images of this shape."""
    bases = presets()
    valid_bases = {
        (slot, name): [b for b in bases if b.with_options((slot, name)).fits(shape) is None]
        for slot in SLOTS
        for name in options_of(slot)
    }
    possible: dict[Pair, Candidate] = {}
    refused: dict[Pair, UserError] = {}
    for pair in pairs():
        # first the presets that are valid with the more restrictive option
        fewer, more = sorted((valid_bases[option] for option in pair), key=len)
        errors = []
        for base in dict.fromkeys([*fewer, *more]):
            candidate = base.with_options(*pair)
            error = candidate.fits(shape)
            if error is None:
                possible[pair] = candidate
                break
            errors.append(error)
        else:
            likely = errors[: len(fewer)] or errors or [UserError("no preset fits either option")]
            texts = [str(error) for error in likely]
            refused[pair] = max(likely, key=lambda error: texts.count(str(error)))
    return PairResults(possible, refused)


def summary(refused: Mapping[Pair, UserError]) -> list[str]:
    """The refused pairs in few lines, grouped by option and reason."""
    partners: dict[tuple[GroupOption, str, str], list[str]] = defaultdict(list)
    for (one, other), error in refused.items():
        partners[one, other[0], _reason(error)].append(other[1])
    rows: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for (one, group, reason), names in partners.items():
        rows[one[0], group, ", ".join(names), reason].append(one[1])
    return [
        f"{one}: {', '.join(names)}\n  not with {group}: {others}\n  because {reason}"
        for (one, group, others, reason), names in rows.items()
    ]


def _reason(error: UserError) -> str:
    """The first clause of the problem, without the option in front (`penalty=kl: this ...`)."""
    option, colon, problem = error.problem.partition(": ")
    return (problem if colon and "=" in option else error.problem).partition(";")[0]


def cover(found: PairResults, shape: ImageShape) -> list[Candidate]:
    """Candidates that contain every possible pair at least once, 40 times fewer than pairs.

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
        for covered in _pairs_in(candidate):
            left.pop(covered, None)
        left.pop(pair, None)
        candidates.append(candidate)
    return candidates


def _with_most_pairs(
    candidate: Candidate, slot: str, fixed: set[str], left: Mapping[Pair, None], shape: ImageShape
) -> Candidate:
    """The candidate with the valid option of a config group that covers most pairs of `left`."""
    gain: dict[str, int] = {}
    for name in options_of(slot):
        covered = _pairs_in(candidate.with_options((slot, name)), within={*fixed, slot})
        gain[name] = sum(pair in left for pair in covered)
    for name in sorted(gain, key=lambda n: -gain[n])[:_TRIES]:
        if gain[name] == 0:
            break
        changed = candidate.with_options((slot, name))
        if changed.fits(shape) is None:
            return changed
    return candidate


def _pairs_in(candidate: Candidate, within: set[str] | None = None) -> list[Pair]:
    """The pairs of options in a candidate, of all config groups or of some."""
    slots = [s for s in SLOTS if candidate.chosen[s] and (within is None or s in within)]
    options = [(slot, str(candidate.chosen[slot])) for slot in slots]
    return list(itertools.combinations(options, 2))
