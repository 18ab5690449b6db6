"""Components in Python, with the defaults of their YAML files."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any

from omegaconf import OmegaConf

from aecore.api.arguments import composed
from aecore.config.build import build
from aecore.config.folders import user_folders
from aecore.config.overrides import read
from aecore.errors import UserError, nearest, short
from aecore.model.components import build_loss, build_noise, build_penalty
from aecore.model.penalties.weight import WEIGHT_KEYS
from aecore.model.slots import SLOTS


def _node(group: str, option: str) -> Any:
    """The configuration of an option.

    What refers to the rest of a configuration stays text, which no component takes for a number.
    """
    return OmegaConf.to_container(composed(read([option])).whole[group])


_cached = cache(_node)


def create(option: str, /, **values: Any) -> Any:
    """A component as the command line chooses it: `create("network=mlp", hidden=[256, 128])`.

    option: config group and name. values: of the component's keys; others keep the value of the
    YAML file. A penalty comes with its weight (`weight=`, `schedule=`, `warmup=`), which the
    `Autoencoder` takes from it.
    Raises UserError for unknown options and keys, wrong types and ranges.
    """
    group = option.partition("=")[0].strip() if isinstance(option, str) else ""
    if group not in SLOTS:
        raise UserError(
            f"{short(option)}: no component of an autoencoder{nearest(group, SLOTS)}",
            f'write for example "network=mlp"; the components are {", ".join(SLOTS)}',
        )
    read_node = _node if user_folders() else _cached  # options of the user may change
    node = deepcopy(read_node(group, option.strip()))
    if group in ("penalty", "reconstruction"):
        if len(node) != 1:
            hint = "leave `penalties` out for none" if group == "penalty" else "choose one"
            raise UserError(f"{option}: {len(node)} terms", hint)
        ((name, term),) = node.items()
        term |= values
        if group == "penalty":
            return build_penalty(name, term)
        if given := values.keys() & set(WEIGHT_KEYS):
            hint = 'the model takes it: Autoencoder(..., weights={"reconstruction": 2.0})'
            raise UserError(f"{option}: `{min(given)}` is no option of the loss itself", hint)
        return build_loss(name, term)[0]
    node |= values
    return build_noise(node, group) if group == "noise" else build(node, group, SLOTS[group])
