"""Weights of an earlier run as the start of a new one (`init_from`)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from aecore.errors import UserError, option
from aecore.model.autoencoder import Autoencoder
from aecore.model.penalties.weight import WEIGHT_KEYS
from aecore.runs.checkpoint import check_weights
from aecore.runs.open import Run

log = logging.getLogger("aecore")

_STATISTICS = ("shift", "scale")  # of the data, not learned
_FREE = {*WEIGHT_KEYS, "critic_lr"}  # options that do not change what parameters mean


def copy_weights(model: Autoencoder, run: Run) -> None:
    """Copy the weights of a run into a model, as far as they mean the same in both.

    Network and latent must fit. The parameters of a reconstruction, a penalty or a prior are copied
    where that component has the same options in both models. Statistics of the data are not copied.
    Warnings name what is not copied, and each option that differs.
    Raises UserError where network or latent are another model's.
    """
    other = run.model(sampler=False)
    left = _left_out(model, other)
    fixed = [name for name, p in model.named_parameters() if not p.requires_grad]
    skipped = (*_STATISTICS, *fixed, *left.values())
    current, state = (_without(m.state_dict(), skipped) for m in (model, other))
    check_weights(current, state, run.path)
    if _class(model, "latent") != _class(other, "latent"):
        raise UserError(f"{run.path}: weights of another latent", "give the latent of that run")
    model.load_state_dict(state, strict=False)
    kept = {**model.state_dict(), **other.state_dict()}
    for name, prefix in left.items():
        if any(key.startswith(prefix) for key in kept):
            log.warning("init_from: the parameters of %s are not copied: it differs", name)
    for line in _differences(model, other):
        log.warning("init_from: %s", line)


def _left_out(model: Autoencoder, other: Autoencoder) -> dict[str, str]:
    """Components with other options in the two models, each with the prefix of its parameters."""
    same_range = model.standardised == other.standardised
    prefixes = {"reconstruction": "reconstruction.", "prior": "prior."}
    left = {
        slot: prefix
        for slot, prefix in prefixes.items()
        if not (same_range and model.nodes[slot] == other.nodes[slot])
    }
    ours, theirs = model.nodes["penalty"], other.nodes["penalty"]
    for name in {**ours, **theirs}:
        if not same_range or _fixed(ours.get(name)) != _fixed(theirs.get(name)):
            left[f"penalty.{name}"] = f"penalty_modules.{name}."
    return left


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
    ours, theirs = (list(m.nodes["reconstruction"]) for m in (model, other))
    if ours != theirs:
        yield f"reconstruction={theirs[0]} in that run, {ours[0]} here: the output may mean another"


def _class(model: Autoencoder, slot: str) -> str:
    return str(model.nodes[slot]["_target_"])


def _fixed(node: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if node is None else {k: v for k, v in node.items() if k not in _FREE}


def _without(state: Mapping[str, Tensor], prefixes: tuple[str, ...]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if not name.startswith(prefixes)}
