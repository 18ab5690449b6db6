"""The options of every config group, and checks of overrides that choose one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.types import ChoiceSweep

from aecore.config import folders
from aecore.config.folders import builtin_options, command, user_options
from aecore.config.near import keys, meant, spelling
from aecore.config.overrides import OOD, SUBDIR, Override
from aecore.errors import UserError, nearest

Groups = Mapping[str, set[str]]
ENVIRONMENT = "hydra.job.env_set"
_HYDRAS = (
    "hydra.run.dir", "hydra.sweep.dir", SUBDIR, "hydra.mode", "hydra.launcher", "hydra.sweeper",
    "hydra.callbacks", "hydra.verbose", ENVIRONMENT,
)  # fmt: skip


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
        if override.group is None and any(g.startswith(f"{override.key}/") for g in groups):
            below = sorted(key for key in keys() if key.startswith(f"{override.key}."))
            raise UserError(
                f"{override.typed}: must be a mapping of keys to values",
                f"it has the keys {', '.join(below)}",
            )
        if override.group is not None and override.group in groups:
            if override.sign == "~":
                _refuse_deletion(override, groups[override.group])
            _check_names(override, groups[override.group])


def _check_hydras(override: Override) -> None:
    """Raise UserError for a key of Hydra without effect, or a choice that is not a name."""
    if not any(override.is_below(key) for key in _HYDRAS):
        hint = f"of Hydra's own keys these have an effect: {', '.join(_HYDRAS)}"
        raise UserError(f"{override.typed}: it would have no effect", hint)
    if override.is_below(ENVIRONMENT):
        _check_environment(override)
    listed = override.value if isinstance(override.value, list) else [override.value]
    named = override.is_sweep or all(isinstance(name, str) and name for name in listed)
    if override.group is not None and override.sign != "~" and not named:
        raise UserError(
            f"{override.typed}: must be one option", f"`{command()} --help` lists the options"
        )


def _check_environment(override: Override) -> None:
    for name in environment_of([override]):
        if name.startswith(("AECORE_", "LD_", "PYTHONPATH")):
            raise UserError(
                f"{override.typed}: {name} is read before this program starts",
                f"set it outside: {name}=... {command()} ...",
            )


def environment_of(overrides: Iterable[Override]) -> dict[str, str]:
    """The environment variables that overrides set, `hydra.job.env_set.NAME=value`."""
    found: dict[str, str] = {}
    for override in overrides:
        if override.key == ENVIRONMENT and isinstance(override.value, dict):
            found |= {str(getattr(k, "text", k)): str(v) for k, v in override.value.items()}
        elif override.is_below(ENVIRONMENT):
            found[override.key.removeprefix(f"{ENVIRONMENT}.")] = str(override.value)
    return found


def _refuse_deletion(override: Override, choices: set[str]) -> None:
    """Raise UserError: a group can be set to nothing, but not be taken away."""
    other = "none" if "none" in choices else sorted(choices)[0]
    raise UserError(f"{override.typed}: cannot be removed", f"write {override.name}={other}")


def _refuse_plus(override: Override, groups: Groups) -> None:
    if override.group is not None:
        line = f"{override.name}={override.text}"
        raise UserError(f"{override.typed}: '+' is never needed here", f"write {line}")
    if override.key in keys():
        line = f"{override.key}={override.text}"
        raise UserError(f"{override.typed}: '+' is never needed here", f"write {line}")
    other = meant(override.key, override.text)
    near = f" (did you mean {other}?)" if other else nearest(override.key, groups)
    raise UserError(
        f"{override.typed}: unknown key{near}",
        f"keys cannot be added; `{command()} --help` lists the options",
    )


def _check_names(override: Override, known: set[str]) -> None:
    group, value = str(override.group), override.value
    where = OOD if override.is_below(OOD) else override.typed_key
    kind = group.rpartition("/")[2]
    names = _names(value)
    for name in names:
        if name not in known and "/" not in name and "${" not in name:  # these are found by Hydra
            other = spelling(group, name)
            near = nearest("none" if name == "null" else name, known)
            near = near if other is None else f" (did you mean {other}?)"
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
