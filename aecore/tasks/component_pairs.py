"""Which words go together: every pair of words of different groups, in some sentence or in none.

A word may need company (`penalty=kl` a posterior), so a pair counts as possible if the sentence of
any preset, with the two words in place, makes a model.
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

from aecore.config.compose import compose
from aecore.config.folders import flags, known
from aecore.config.overrides import parse
from aecore.errors import UserError
from aecore.training.setup import Experiment, build_experiment
from aecore.types import ImageShape

SLOTS = ("network", "latent", "noise", "penalty", "reconstruction", "prior", "objective")
Word = tuple[str, str]  # a group and a choice in it
Pair = tuple[Word, Word]
_TRIES = 4


@dataclass(frozen=True, eq=False)
class Candidate:
    """The words of a preset, some of them replaced.

    chosen: every slot's choice; None where it is not one word.
    """

    preset: str
    experiment: Experiment
    chosen: Mapping[str, str | None]

    def saying(self, *changed: Word) -> Candidate:
        """The same with other words; one that it says already keeps the preset's options."""
        new = [word for word in changed if self.chosen[word[0]] != word[1]]
        parts = {field: part for word in new for field, part in built(*word).items()}
        said = replace(self.experiment, components=replace(self.experiment.components, **parts))
        return replace(self, experiment=said, chosen={**self.chosen, **dict(new)})

    def fits(self, shape: ImageShape) -> UserError | None:
        """None where the words make a model for such images, else what they are refused with."""
        try:
            with torch.device("meta"):  # shapes without numbers
                self.experiment.components.autoencoder(shape)
        except UserError as error:
            return error
        return None


@dataclass(frozen=True)
class PairResults:
    """What was found of every pair of words.

    possible: a sentence for each pair that can go together. refused: why the others cannot.
    """

    possible: Mapping[Pair, Candidate]
    refused: Mapping[Pair, str]


def names_of(slot: str) -> list[str]:
    """Every choice of a slot."""
    return sorted(known(slot))


@cache
def built(slot: str, name: str) -> dict[str, Any]:
    """A choice of a slot as fields of the sentence."""
    config = dict(_plain_config())
    text = known(slot)[name].read_text()
    if "${" in text or "defaults:" in text:  # Hydra's to read, which takes its time
        config[slot] = compose(parse([*flags(), f"{slot}={name}"])).config[slot]
    else:
        config[slot] = yaml.safe_load(text)
    found = build_experiment(deepcopy(config)).components
    fields = ("penalties", "weights") if slot == "penalty" else (slot,)
    return {field: getattr(found, field) for field in fields}


@cache
def _plain_config() -> Mapping[str, Any]:
    return compose(parse(["model=ae", "figures=none"])).config


def presets() -> list[Candidate]:
    """The sentence of each preset."""
    found = []
    for name in names_of("model"):
        job = compose(parse([*flags(), f"model={name}", "figures=none"]))
        said = {slot: job.words.get(slot) for slot in SLOTS}
        chosen = {slot: w if isinstance(w, str) else None for slot, w in said.items()}
        found.append(Candidate(name, build_experiment(job.config), chosen))
    return found


def pairs() -> Iterator[Pair]:
    """Every pair of words of two different slots."""
    for one, other in itertools.combinations(SLOTS, 2):
        names = itertools.product(names_of(one), names_of(other))
        yield from (((one, a), (other, b)) for a, b in names)


@cache
def combinations(shape: ImageShape) -> PairResults:
    """Try every pair of words on images of a shape."""
    bases = presets()
    homes = {
        (slot, name): [b for b in bases if b.saying((slot, name)).fits(shape) is None]
        for slot in SLOTS
        for name in names_of(slot)
    }
    possible: dict[Pair, Candidate] = {}
    refused: dict[Pair, str] = {}
    for pair in pairs():
        # where the pickier word is at home, the other is all that may be wrong
        picky, easy = sorted((homes[word] for word in pair), key=len)
        reasons = []
        for base in dict.fromkeys([*picky, *easy]):
            sentence = base.saying(*pair)
            error = sentence.fits(shape)
            if error is None:
                possible[pair] = sentence
                break
            reasons.append(str(error))
        else:
            near = reasons[: len(picky)] or reasons or ["no preset takes either of them"]
            refused[pair] = max(near, key=near.count)
    return PairResults(possible, refused)


def summary(refused: Mapping[Pair, str]) -> list[str]:
    """The refusals in few lines: words that are refused for the same reason stand together."""
    partners: dict[tuple[Word, str, str], list[str]] = defaultdict(list)
    for (one, other), reason in refused.items():
        partners[one, other[0], _core(reason)].append(other[1])
    rows: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for (one, group, core), names in partners.items():
        rows[one[0], group, ", ".join(names), core].append(one[1])
    return [
        f"{one}: {', '.join(names)}\n  not with {group}: {others}\n  because {core}"
        for (one, group, others, core), names in rows.items()
    ]


def _core(reason: str) -> str:
    """The first sentence of a reason without the words it begins with (`penalty=kl: this ...`)."""
    text = " ".join(line.strip() for line in reason.splitlines()[:1])
    before, colon, after = text.partition(": ")
    return (after if colon and "=" in before else text).partition(";")[0].rstrip(",")


def cover(found: PairResults, shape: ImageShape) -> list[Candidate]:
    """Sentences that say every possible pair at least once, some forty times fewer than pairs.

    Greedy: a pair's own sentence, whose other slots then take words of pairs not yet said as long
    as the sentence makes a model.
    """
    left = dict.fromkeys(found.possible)
    sentences = []
    while left:
        pair = next(iter(left))
        sentence, fixed = found.possible[pair], {slot for slot, _ in pair}
        for slot in (s for s in SLOTS if s not in fixed):
            sentence = _enriched(sentence, slot, fixed, left, shape)
            fixed.add(slot)
        for said in _said(sentence):
            left.pop(said, None)
        left.pop(pair, None)
        sentences.append(sentence)
    return sentences


def _enriched(
    sentence: Candidate, slot: str, fixed: set[str], left: Mapping[Pair, None], shape: ImageShape
) -> Candidate:
    """The sentence with the word in a slot that says most new pairs, of those that fit."""
    gain: dict[str, int] = {}
    for name in names_of(slot):
        said = _said(sentence.saying((slot, name)), within={*fixed, slot})
        gain[name] = sum(pair in left for pair in said)
    for name in sorted(gain, key=lambda n: -gain[n])[:_TRIES]:
        if gain[name] == 0:
            break
        changed = sentence.saying((slot, name))
        if changed.fits(shape) is None:
            return changed
    return sentence


def _said(sentence: Candidate, within: set[str] | None = None) -> list[Pair]:
    """The pairs of words in a sentence, of all slots or of some."""
    slots = [s for s in SLOTS if sentence.chosen[s] and (within is None or s in within)]
    known = [(slot, str(sentence.chosen[slot])) for slot in slots]
    return list(itertools.combinations(known, 2))
