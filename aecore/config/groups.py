"""The options of every config group, and checks of overrides that choose one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.types import ChoiceSweep

from aecore.config import folders
from aecore.config.folders import builtin_options, command, user_options
from aecore.config.overrides import OOD, Override
from aecore.errors import UserError, nearest

Groups = Mapping[str, set[str]]


def options_by_group(own: Sequence[Path] = ()) -> dict[str, set[str]]:
    """Every config group with its options, including those of the user's folders.

    Raises UserError for a file of the user that would never be read.
    """
    found = {}
    for group in folders.groups():
        known, added = builtin_options(group), user_options(group, own)
        for name in known.keys() & added.keys():
            raise UserError(
                f"{added[name]}: there is a {group}={name} already, in {known[name]}",
                "give it another name",
            )
        found[group] = {*known, *added}
    return found


def check_choices(overrides: Iterable[Override], groups: Groups) -> None:
    """Raise UserError for an unknown option of a group, or a list for a group of single options."""
    for override in overrides:
        if override.of_hydra:
            _check_hydras(override)
            continue
        if override.sign.startswith("+") and not override.is_below(OOD):
            _refuse_plus(override, groups)
        if override.group is not None and override.group in groups:
            _check_names(override, groups[override.group])


def _check_hydras(override: Override) -> None:
    """Raise UserError for an option of Hydra's groups that is not a name."""
    listed = override.value if isinstance(override.value, list) else [override.value]
    named = override.is_sweep or all(isinstance(name, str) and name for name in listed)
    if override.group is not None and override.sign != "~" and not named:
        raise UserError(
            f"{override.typed}: must be one option", f"`{command()} --help` lists the options"
        )


def _refuse_plus(override: Override, groups: Groups) -> None:
    if override.group is not None:
        line = f"{override.name}={override.text}"
        raise UserError(f"{override.typed}: '+' is never needed here", f"write {line}")
    raise UserError(
        f"{override.typed}: unknown key{nearest(override.key, groups)}",
        f"keys cannot be added; `{command()} --help` lists the options",
    )


def _check_names(override: Override, known: set[str]) -> None:
    group, value = str(override.group), override.value
    where = OOD if override.is_below(OOD) else override.typed_key
    kind = group.rpartition("/")[2]
    names = _names(value)
    for name in names:
        if name not in known and "/" not in name and "${" not in name:  # these are found by Hydra
            near = nearest("none" if name == "null" else name, known)
            listed = ", ".join(sorted(known)) or "none yet"
            raise UserError(f"{where}={name}: no such {kind}{near}", f"known: {listed}")
    if isinstance(value, list) and len(names) > 1:
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UserError(f"{override.typed}: {twice} is repeated", "give it once")
        _check_list(group, names, override)


def _names(value: Any) -> list[str]:
    """The options in a value, including those of sweeps and lists."""
    if isinstance(value, ChoiceSweep):
        return [name for one in value.list for name in _names(getattr(one, "text", one))]
    if isinstance(value, list):
        return [name for one in value for name in _names(one)] or [""]
    if isinstance(value, str | int | float):
        return [str(value)]
    return ["null"] if value is None else []


def _check_list(group: str, names: Sequence[str], override: Override) -> None:
    """Raise UserError for a list, unless each option of the group is one named term."""
    files = builtin_options(group)
    nodes = [yaml.safe_load(files[name].read_text()) for name in names if name in files]
    if any(
        isinstance(node, dict)
        and (
            "_target_" in node
            or ("defaults" in node and not any(isinstance(v, dict) for v in node.values()))
        )
        for node in nodes
    ):
        hint = f"choose one, for example {group}={names[0]}"
        if group == "noise":
            hint = f"several noises in a row: noise=chain 'noise.steps=[{','.join(names)}]'"
        raise UserError(f"{override.typed}: {group} takes one option", hint)
