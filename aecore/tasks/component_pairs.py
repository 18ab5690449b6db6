"""Which options are compatible: tries every pair of options of two config groups.

An option may require others (`penalty=kl` a posterior), so a pair counts as possible if any preset
with these two options is a valid model.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
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


@dataclass(frozen=True)
class Candidate:
    """A preset, possibly with some options replaced; equal to others with the same values.

    nodes: the configuration of each component of `SLOTS`, as text.
    chosen: the option of each config group; None for several at once.
    """

    nodes: tuple[str, ...]
    chosen: tuple[str | None, ...] = field(compare=False)
    preset: str = field(compare=False)
    experiment: Experiment = field(compare=False)

    @property
    def options(self) -> list[GroupOption]:
        """Its options with their config groups, but for several at once."""
        return [(s, name) for s, name in zip(SLOTS, self.chosen, strict=True) if name is not None]

    def with_options(self, *options: GroupOption) -> Candidate:
        """A copy with these options; those that it has already keep the values of the preset."""
        nodes, chosen = [*self.nodes], [*self.chosen]
        components = self.experiment.components
        for slot, name in options:
            place = SLOTS.index(slot)
            if chosen[place] != name:
                nodes[place], parts = build_option(slot, name)
                chosen[place] = name
                components = replace(components, **parts)
        experiment = replace(self.experiment, components=components)
        return Candidate(tuple(nodes), tuple(chosen), self.preset, experiment)


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
def build_option(slot: str, name: str) -> tuple[str, dict[str, Any]]:
    """The configuration of an option, and the fields of `Components` made of it."""
    config = dict(_plain_config())
    text = known(slot)[name].read_text()
    if "${" in text or "defaults:" in text:  # needs Hydra, which is slower
        config[slot] = compose(parse([*flags(), f"{slot}={name}"])).config[slot]
    else:
        config[slot] = yaml.safe_load(text)
    components = build_experiment(deepcopy(config)).components
    fields = ("penalties", "weights") if slot == "penalty" else (slot,)
    return str(config[slot]), {field: getattr(components, field) for field in fields}


@cache
def _plain_config() -> Mapping[str, Any]:
    return compose(parse(["model=ae", "figures=none"])).config


def presets() -> list[Candidate]:
    """The candidate of each preset."""
    candidates = []
    for name in options_of("model"):
        job = compose(parse([*flags(), f"model={name}", "figures=none"]))
        options = [job.choices.get(slot) for slot in SLOTS]
        chosen = tuple(option if isinstance(option, str) else None for option in options)
        nodes = tuple(str(job.config[slot]) for slot in SLOTS)
        candidates.append(Candidate(nodes, chosen, name, build_experiment(job.config)))
    return candidates


def pairs() -> Iterator[Pair]:
    """Every pair of options of two different config groups."""
    for one, other in itertools.combinations(SLOTS, 2):
        names = itertools.product(options_of(one), options_of(other))
        yield from (((one, a), (other, b)) for a, b in names)


@cache
def problem(candidate: Candidate, shape: ImageShape) -> UserError | None:
    """None if the model can be built for images of this shape, else the error."""
    try:
        with torch.device("meta"):  # shapes only, no memory
            candidate.experiment.components.autoencoder(shape)
    except UserError as error:
        return error
    return None


@cache
def check_pairs(shape: ImageShape) -> PairResults:
    """Try every pair of options on images of this shape."""
    bases = presets()
    valid_bases = {
        (slot, name): [b for b in bases if problem(b.with_options((slot, name)), shape) is None]
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
            error = problem(candidate, shape)
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
