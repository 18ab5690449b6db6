"""The options of every config group, and checks of overrides that choose one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep

from aecore.config import folders
from aecore.config.folders import builtin_options, command, user_options
from aecore.config.near import keys_below, spelling
from aecore.config.overrides import OOD, OPTIONS, SUBDIR, WHERE, Override
from aecore.errors import LONGEST, UserError, nearest

Groups = Mapping[str, set[str]]
SETS = (  # several may be chosen
    "augment", "evaluate/metrics", "figures", "penalty", "reconstruction",
)  # fmt: skip
ENVIRONMENT = "hydra.job.env_set"
_HYDRAS = (
    "hydra.run.dir", "hydra.sweep.dir", SUBDIR, "hydra.mode", "hydra.launcher", "hydra.sweeper",
    "hydra.callbacks", "hydra.verbose", ENVIRONMENT,
)  # fmt: skip


def options_by_group(config_dirs: Sequence[Path] = ()) -> dict[str, set[str]]:
    """Every config group with its options, including those of the user's folders.

    Raises UserError for a file of the user that would never be read.
    """
    options = {}
    for group in folders.groups():
        known, added = builtin_options(group), user_options(group, config_dirs)
        for name in known.keys() & added.keys():
            raise UserError(
                f"{added[name]}: there is a {group}={name} already, in {known[name]}",
                "give it another name",
            )
        options[group] = {*known, *added}
    return options


def check_choices(overrides: Iterable[Override], groups: Groups) -> None:
    """Raise UserError for an unknown option of a group, or a list for a group of single options."""
    for override in overrides:
        if override.of_hydra:
            _check_hydras(override)
            continue
        open_nodes = (OOD, OPTIONS, WHERE)
        if override.sign.startswith("+") and not any(map(override.is_below, open_nodes)):
            line = f"{override.name}={override.text}"
            raise UserError(f"{override.typed}: '+' is never needed here", f"write {line}")
        if override.group is None and any(g.startswith(f"{override.key}/") for g in groups):
            below = ", ".join(keys_below(override.key))
            raise UserError(
                f"{override.typed}: must be a mapping of keys to values", f"it has the keys {below}"
            )
        if override.group is not None and override.group in groups:
            if override.sign == "~":
                hint = f"choose one of {', '.join(sorted(groups[override.group]))}"
                raise UserError(f"{override.typed}: cannot be removed", hint)
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
    variables: dict[str, str] = {}
    for override in overrides:
        if override.key == ENVIRONMENT and isinstance(override.value, dict):
            variables |= {str(getattr(k, "text", k)): str(v) for k, v in override.value.items()}
        elif override.is_below(ENVIRONMENT):
            variables[override.key.removeprefix(f"{ENVIRONMENT}.")] = str(override.value)
    return variables


def _check_names(override: Override, known: set[str]) -> None:
    group, value, names = str(override.group), override.value, names_in(override.value)
    where = OOD if override.is_below(OOD) else override.typed_key
    for name in names:
        if group == "dataset" and name.startswith(("/", "./", "../", "~")):
            raise UserError(f"{override.typed}: no such dataset", _reading(name))
        if name not in known and "/" not in name and "${" not in name:  # these are found by Hydra
            other = spelling(group, name)
            near = nearest("none" if name == "null" else name, known)
            near = near if other is None else f" (did you mean {other}?)"
            kind = group.rpartition("/")[2]
            raise UserError(f"{where}={name}: no such {kind}{near}", _options(group, known))
    if isinstance(value, list) and len(names) > 1:
        if (twice := max(names, key=names.count)) and names.count(twice) > 1:
            raise UserError(f"{override.typed}: {twice} is repeated", "give it once")
        if group not in SETS:
            hint = f"choose one, for example {group}={names[0]}"
            if group == "noise":
                hint = f"several noises in a row: noise=chain 'noise.steps=[{','.join(names)}]'"
            raise UserError(f"{override.typed}: {group} takes one option", hint)


def _options(group: str, known: set[str]) -> str:
    """A hint: the options of a group, or where they are described if they need several lines."""
    listed = f"known: {', '.join(sorted(known)) or 'none yet'}"
    if len(listed) > LONGEST and group in folders.groups():
        return f"`{command()} {group} --help` describes all {len(known)}"
    return listed


def _reading(path: str) -> str:
    """The overrides that read a file or a folder."""
    kind = Path(path).suffix.lower()
    if kind in (".npy", ".npz"):
        return f"for a NumPy file: dataset=arrays dataset.path={path}"
    if kind in (".csv", ".tsv", ".txt"):
        return f"for a table: dataset=csv dataset.path={path}"
    return f"for a folder of images: dataset=image_folder dataset.root={path}"


def names_in(value: Any) -> list[str]:
    """The options in a value, including those of sweeps and lists."""
    if isinstance(value, ChoiceSweep):
        return [name for one in value.list for name in names_in(getattr(one, "text", one))]
    if isinstance(value, list):
        return [name for one in value for name in names_in(one)] or [""]
    if isinstance(value, str | int | float):
        return [str(value)]
    return ["null"] if value is None else []
