"""Components in Python, with the defaults of their YAML files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from aecore.config.build import build
from aecore.config.folders import known
from aecore.errors import UserError, nearest, short
from aecore.model.components import build_noise, build_penalty, build_reconstruction
from aecore.model.penalties.weight import Weighted
from aecore.model.reconstruction.base import Reconstruction
from aecore.model.slots import SLOTS


def create(option: str, /, **values: Any) -> Any:
    """A component as the command line chooses it: `create("network=mlp", hidden=[256, 128])`.

    option: config group and name. values: of the component's keys; others keep the value of the
    YAML file. A penalty comes with its weight (`weight=`, `schedule=`, `warmup=`), which the
    `Autoencoder` takes from it.
    Raises UserError for unknown options and keys, wrong types and ranges.
    """
    group, _, name = option.strip().partition("=") if isinstance(option, str) else ("", "", "")
    if group not in SLOTS:
        raise UserError(
            f"{short(option)}: no component of an autoencoder{nearest(group, SLOTS)}",
            f'write for example "network=mlp"; the components are {", ".join(SLOTS)}',
        )
    files = known(group)
    if name not in files:
        listed = ", ".join(n for n in sorted(files) if _read(files[n]))
        raise UserError(f"{option}: no such {group}{nearest(name, files)}", f"known: {listed}")
    node = _inherited(files, name)
    if group in ("penalty", "reconstruction"):
        return _created_term(option, group, node, values)
    node = _complete(node | values, option)
    return build_noise(node, group) if group == "noise" else build(node, group, SLOTS[group])


def _created_term(
    option: str, group: str, node: Mapping[str, Any], values: Mapping[str, Any]
) -> Weighted | Reconstruction:
    """The one term of a penalty or a reconstruction."""
    if len(node) != 1:
        hint = "leave `penalties` out for none" if group == "penalty" else "choose one of one term"
        raise UserError(f"{option}: {len(node)} terms", hint)
    ((name, term),) = node.items()
    term = _complete(term | values, option)
    if group == "reconstruction":
        return build_reconstruction({name: term})
    return build_penalty(term, f"penalty.{name}")


def _complete(node: dict[str, Any], option: str) -> dict[str, Any]:
    """The node; UserError where it refers to the rest of a configuration."""
    for key, value in node.items():
        if isinstance(value, str) and (follows := re.fullmatch(r"\$\{(.*)\}", value)):
            raise UserError(
                f"{option}: `{key}` is the run's {follows[1]} on the command line",
                f"give it here: {key}=...",
            )
    return node


def _inherited(files: Mapping[str, Path], name: str) -> dict[str, Any]:
    """A YAML file merged with its `defaults:`, as Hydra does."""
    own = _read(files[name])
    node: dict[str, Any] = {}
    for parent in own.pop("defaults", ["_self_"]):
        if parent != "_self_" and parent not in files:
            raise UserError(f"{files[name]}: its default {parent} is no option beside it")
        node = _merged(node, own if parent == "_self_" else _inherited(files, parent))
    return node


def _read(file: Path) -> dict[str, Any]:
    return yaml.safe_load(file.read_text()) or {}


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        key: _merged(old[key], new[key])
        for key in old.keys() & new.keys()
        if isinstance(old[key], Mapping) and isinstance(new[key], Mapping)
    }
    return {**old, **new, **both}
