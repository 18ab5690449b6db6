"""The components of a model: their base classes, checks and configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from aecore.config.component import config_of
from aecore.config.folders import builtin_options
from aecore.errors import UserError, short
from aecore.model.latents.base import Latent
from aecore.model.networks.base import Network
from aecore.model.noise.base import Noise
from aecore.model.objectives.base import Objective, check_names
from aecore.model.passes import Model
from aecore.model.penalties.base import Penalty
from aecore.model.penalties.weight import WEIGHT_KEYS, Weight, Weighted
from aecore.model.priors.base import Prior
from aecore.model.reconstruction.base import Reconstruction
from aecore.model.reconstruction.beside import ImageTerm

SLOTS: dict[str, type] = {
    "network": Network,
    "latent": Latent,
    "noise": Noise,
    "penalty": Penalty,
    "reconstruction": Reconstruction,
    "prior": Prior,
    "objective": Objective,
}
MAIN = ("network", "latent", "noise", "penalty", "reconstruction")  # what a short text names


def check_components(components: Mapping[str, object], penalties: Mapping[str, Weighted]) -> None:
    """Raise UserError for a component that is not of the base class of its config group."""
    terms = (("penalty", term.penalty) for term in penalties.values())
    for slot, component in (*components.items(), *terms):
        if not isinstance(component, SLOTS[slot]):
            home = SLOTS[slot].__module__.rpartition(".")[0]
            raise UserError(
                f"{slot}={short(component)}: must be a {SLOTS[slot].__name__}",
                f'use a class of {home}, or aecore.create("{slot}=...")',
            )


def check_combination(model: Model) -> None:
    """Raise UserError for components that do not go together."""
    check_names(model)
    model.latent.check()
    model.reconstruction.check(model)
    model.objective.check(model)
    model.prior.check(model)
    for penalty in model.penalties.values():
        penalty.check(model)


def component_configs(
    components: Mapping[str, object],
    penalties: Mapping[str, Weighted],
    weights: Mapping[str, Weight],
) -> dict[str, Any]:
    """The configuration nodes of these components. weights: that of the reconstruction, if any."""
    nodes, loss = config_of(components), components["reconstruction"]
    assert isinstance(loss, Reconstruction)
    name = loss.name or type(loss).__name__
    losses = {name: _with_weight(nodes["reconstruction"], weights.get("reconstruction"))}
    terms = {}
    for name, term in penalties.items():
        if isinstance(term.penalty, ImageTerm):
            losses[term.penalty.path(name).partition(".")[2]] = _with_weight(
                config_of(term.penalty.term), term.weight
            )
        else:
            terms[name] = _with_weight(config_of(term.penalty), term.weight)
    return {**nodes, "reconstruction": losses, "penalty": terms}


def _with_weight(node: dict[str, Any], weight: Weight | None) -> dict[str, Any]:
    """The node of a term with the keys of its weight."""
    keys = {} if weight is None else config_of(weight)
    return {**node, **{key: keys[key] for key in WEIGHT_KEYS if key in keys}}


def named(nodes: Mapping[str, Any]) -> dict[str, Any]:
    """The option of each node, by config group: that of its class, or the names of its terms."""
    return {slot: option_of(slot, node) for slot, node in nodes.items()}


def option_of(group: str, node: Mapping[str, Any]) -> str | list[str]:
    """The first option of a group with the class of a node, or its name where there is none.

    Of several terms, their names; `none` for no terms.
    """
    if "_target_" not in node:
        terms = [*node] or ["none"]
        return terms[0] if len(terms) == 1 else terms
    for name, file in builtin_options(group).items():
        content = yaml.safe_load(file.read_text("utf-8")) or {}
        if content.get("_target_") == node["_target_"]:
            return name
    return str(node["_target_"]).rpartition(".")[2]
