"""Which overrides the record of a sweep may hold; nothing else is written to it or read from it.

A record may come from anywhere. So it holds literal values of our own configuration, and of
Hydra's the launcher with a few of its settings. Whatever else a sweep was started with is not
recorded but for its key, and is given again where the sweep is resumed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from aecore.config.folders import groups
from aecore.config.overrides import OOD, Override, read
from aecore.config.schema import Config
from aecore.errors import UserError

LAUNCHERS = frozenset({"basic", "joblib", "submitit_local", "submitit_slurm", "ray"})
_SETTINGS = {
    f"hydra.launcher.{key}"
    for key in (
        "n_jobs", "timeout_min", "cpus_per_task", "gpus_per_node", "tasks_per_node", "nodes",
        "mem_gb", "partition", "qos", "account", "constraint",
    )
}  # fmt: skip
_OTHERWISE = ("hydra.sweep", "hydra.run", "hydra.mode", "hydra.sweeper")  # the record has its own
_SETTING = re.compile(r"[\w.:+-]+", re.ASCII)
_NAME = re.compile(r"\w[\w-]*")  # of an option: no path
_KEY = re.compile(r"[a-z]\w*(\.(?!_)[\w-]+)*")
_PACKAGE = re.compile(rf"evaluate\.noise|{re.escape(OOD)}\.\w[\w-]*")
_STUDIES = ("sweeps", "experiment")  # they may choose a launcher
_NOT_OF_A_TRAINING = {"resume", "run", "runs", "out", "split", "resize", "task"}
_LONGEST = 1000  # letters of a name of a configuration


def is_literal(value: Any) -> bool:
    """Whether a value is plain: no interpolation in it, and no key with a meaning to Hydra."""
    if isinstance(value, str):
        return "${" not in value
    if isinstance(value, list):
        return all(map(is_literal, value))
    if isinstance(value, dict):
        return all(isinstance(k, str) and not k.startswith("_") for k in value) and all(
            is_literal(one) for pair in value.items() for one in pair
        )
    return value is None or type(value) in (bool, int, float)


def is_recordable(override: Override) -> bool:
    """Whether a record may hold an override of a job: a literal value, or an option by its name."""
    if override.is_sweep or override.sign not in ("", "+", "++"):
        return False
    value, key = override.value, override.key
    if isinstance(value, dict):  # it would set keys that are not looked at
        return False
    if override.group is not None:
        names = value if isinstance(value, list) else [value]
        named = all(_NAME.fullmatch(str(name)) for name in names if name is not None)
        inside = override.package is None or _PACKAGE.fullmatch(override.package) is not None
        known = override.group in groups() and inside and named
        return known and (override.group != "task" or value == "train")
    root = key.partition(".")[0]
    ours = root in Config.model_fields and root not in _NOT_OF_A_TRAINING
    return ours and _KEY.fullmatch(key) is not None and is_literal(value)


def decides_launch(override: Override) -> bool:
    """Whether a record may hold an override of the sweep: a study, or a setting of its launcher."""
    value = override.value
    if override.is_sweep or override.sign not in ("", "+", "++"):
        return False
    if override.name == "hydra/launcher":
        return isinstance(value, str) and value in LAUNCHERS
    if override.key in _SETTINGS and override.group is None:
        plain = value is None or type(value) in (int, float)
        return plain or (isinstance(value, str) and _SETTING.fullmatch(value) is not None)
    return override.key in _STUDIES and is_recordable(override)


def is_recorded_otherwise(override: Override) -> bool:
    """Whether the record has what an override of Hydra's says in fields of its own."""
    return any(override.is_below(key) for key in _OTHERWISE)


def kept(lines: Iterable[str], allowed: Callable[[Override], bool]) -> tuple[list[str], list[str]]:
    """Those overrides that are allowed in a record, and the names of the others.

    Raises UserError for what is no override.
    """
    overrides = _read(lines)
    others = [o for o in overrides if not (allowed(o) or is_recorded_otherwise(o))]
    return [o.line for o in overrides if allowed(o)], [*dict.fromkeys(o.name for o in others)]


def job_lines(lines: Iterable[str]) -> list[str]:
    """The overrides of a job in a record; UserError for one that it may not hold."""
    overrides = _read(lines)
    for override in overrides:
        if not is_recordable(override):
            raise UserError(f"{override.typed[:_LONGEST]}: not taken from a record")
    return [o.line for o in overrides]


def flags_of(flags: list[str]) -> list[str]:
    """The flags of a record; ValueError where they name no folder or configuration plainly."""
    names, values = flags[::2], flags[1::2]
    if len(names) != len(values):
        raise ValueError("a flag without a value")
    for name, value in zip(names, values, strict=True):
        plain = name == "--config-name" and _NAME.fullmatch(value) is not None
        if not (plain or name == "--config-dir"):
            raise ValueError(f"{name}={value} is not taken from a record")
    return flags


def _read(lines: Iterable[str]) -> tuple[Override, ...]:
    try:
        return read(lines)
    except (ValueError, RecursionError) as error:  # numbers of many digits, deep nesting
        raise UserError(f"cannot be read ({type(error).__name__})") from error
