"""Weights of an earlier run as the start of a new one (`init_from`)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from torch import Tensor

from aecore.errors import UserError, option
from aecore.model.autoencoder import Autoencoder
from aecore.model.penalties.weight import WEIGHT_KEYS
from aecore.runs.checkpoint import check_weights
from aecore.runs.open import Run

log = logging.getLogger("aecore")

_STATISTICS = ("shift", "scale", "limits")  # of the data, not learned
_FREE = {*WEIGHT_KEYS, "critic_lr"}  # options that do not change what parameters mean


class _Part(NamedTuple):
    """A component: the prefix of its parameters, and its options."""

    prefix: str
    node: Mapping[str, Any]


def copy_weights(model: Autoencoder, run: Run) -> None:
    """Copy the weights of a run into a model, as far as they mean the same in both.

    Network and latent must fit. The parameters of a reconstruction term, a penalty or a prior are
    copied where it has the same options in both models. Statistics of the data are not copied, nor
    is a term that learns nothing, as its numbers are of its own data.
    Warnings name what is not copied, and each option that differs.
    Raises UserError where network or latent are another model's.
    """
    other = run.model(sampler=False)
    ours, theirs = _parts(model), _parts(other)
    left = _left_out(ours, theirs, model.standardised == other.standardised)
    learned = _learned(model)
    fixed = [name for name, _ in model.named_parameters() if name not in learned]
    prefixes = {name: part.prefix for name, part in {**theirs, **ours}.items()}
    without = [p for n, p in prefixes.items() if n in left or not _any_below(learned, p)]
    skipped = (*_STATISTICS, *fixed, *without)
    current, state = (_without(m.state_dict(), skipped) for m in (model, other))
    check_weights(current, state, run.path)
    if _class(model, "latent") != _class(other, "latent"):
        raise UserError(f"{run.path}: weights of another latent", "give the latent of that run")
    model.load_state_dict(state, strict=False)
    for name, prefix in prefixes.items():
        if name in left and _any_below(learned | _learned(other), prefix):
            log.warning("init_from: the parameters of %s are not copied: it differs", name)
    for line in _differences(model, other):
        log.warning("init_from: %s", line)


def _left_out(ours: Mapping[str, _Part], theirs: Mapping[str, _Part], same_range: bool) -> set[str]:
    """The names of parts with other options in the two models."""
    return {
        name
        for name in {**ours, **theirs}
        if not same_range or _options(ours.get(name)) != _options(theirs.get(name))
    }


def _parts(model: Autoencoder) -> dict[str, _Part]:
    """The components whose parameters may mean something else in another model."""
    losses = model.nodes["reconstruction"]
    parts = {
        "reconstruction": _Part("reconstruction.", losses[next(iter(losses))]),
        "prior": _Part("prior.", model.nodes["prior"]),
    }
    for name, term in model.penalties.items():
        path = term.path(name)
        group, _, option_name = path.partition(".")
        parts[path] = _Part(f"penalty_modules.{name}.", model.nodes[group][option_name])
    return parts


def _learned(model: Autoencoder) -> set[str]:
    return {name for name, p in model.named_parameters() if p.requires_grad}


def _differences(model: Autoencoder, other: Autoencoder) -> Iterator[str]:
    if model.standardised != other.standardised:
        there, here = ("standardised" if m.standardised else "unit" for m in (other, model))
        yield f"dataset.range={there} in that run, {here} here"
    elif model.standardised and not (
        model.shift.equal(other.shift) and model.scale.equal(other.scale)
    ):
        yield "images are standardised by the statistics of these training images, not by its own"
    for slot in ("network", "latent"):
        ours, theirs = model.nodes[slot], other.nodes[slot]
        for key in ours:
            if key in theirs and ours[key] != theirs[key]:
                yield f"{option(f'{slot}.{key}', theirs[key])} in that run, {ours[key]} here"
    ours, theirs = (next(iter(m.nodes["reconstruction"])) for m in (model, other))
    if ours != theirs:
        yield f"reconstruction={theirs} in that run, {ours} here: the output may mean another"


def _class(model: Autoencoder, slot: str) -> str:
    return str(model.nodes[slot]["_target_"])


def _options(part: _Part | None) -> dict[str, Any] | None:
    return None if part is None else {k: v for k, v in part.node.items() if k not in _FREE}


def _any_below(names: Iterable[str], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in names)


def _without(state: Mapping[str, Tensor], prefixes: tuple[str, ...]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if not name.startswith(prefixes)}
