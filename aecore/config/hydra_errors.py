"""Errors of Hydra and OmegaConf as one line, with similar names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import yaml
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from aecore.config.folders import builtin_options, groups, installing
from aecore.config.near import meant, surely_meant
from aecore.config.overrides import OOD, Override
from aecore.errors import LONGEST, UserError, nearest

Compose = Callable[[list[Override]], DictConfig]
_SEARCH_KEYS = "hydra/sweeper=optuna has n_trials, n_jobs, sampler, seed and others"
_EXTRAS = {"joblib": "joblib", "ray": "ray", "submitit_local": "slurm", "submitit_slurm": "slurm"}


def explain_hydra(error: Exception, overrides: Sequence[Override], compose: Compose) -> UserError:
    """The error for the user; composes without the wrong override to find similar names."""
    text = str(error)
    if match := re.search(r"Could not find 'hydra/(launcher|sweeper)/(\w+)'", text):
        return _launcher(match[1], match[2], text)
    if match := re.search(r"Could not override '([^']+)'", text):
        return _unknown_key(match[1], overrides, compose, text)
    if match := re.search(rf"@{re.escape(OOD)}\.([\w-]+) appears more than once", text):
        problem = f"{OOD}=[{match[1]}]: a preset names this data set already"
        return UserError(problem, "leave it out here")
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [type(error).__name__]
    quoting = "write 'null', in quotes" if "is not Optional" in text else None
    reason = f" {lines[1]}" if lines[0].endswith(":") and len(lines) > 1 else ""
    return UserError(f"{lines[0]}{reason}"[:300], quoting)


def _launcher(kind: str, name: str, text: str) -> UserError:
    typed = f"hydra/{kind}={name}"
    if name in _EXTRAS:
        return UserError(f"{typed}: not installed", f"{installing(_EXTRAS[name])} brings it")
    known = sorted(set(re.findall(r"^\t(\w+)$", text, re.MULTILINE)))
    problem = f"{typed}: no such {kind}{nearest(name, known)}"
    return UserError(problem, f"known: {', '.join(known)}")


def _unknown_key(key: str, overrides: Sequence[Override], compose: Compose, text: str) -> UserError:
    asked = next((o for o in overrides if key in (o.key, o.name)), None)
    known: set[str] = set()
    parent, _, name = key.rpartition(".")
    try:
        config = compose([o for o in overrides if o is not asked])
        root = key.partition(".")[0]
        if asked is not None and root in builtin_options("task") and root not in config:
            return UserError(f"{asked.typed}: this is task={config.task}", f"use task={root}")
        node = OmegaConf.select(config, parent) if parent else config
        while parent and not isinstance(node, DictConfig):
            parent, _, name = parent.rpartition(".")
            node = OmegaConf.select(config, parent) if parent else config
        if isinstance(node, DictConfig):
            known = {str(k) for k in node} - {"hydra", "_target_"}
            known |= set() if parent else {*groups()}
    except (HydraException, OmegaConfBaseException):
        pass  # a second mistake elsewhere: reported without similar names
    if asked is not None and key == f"evaluate.{asked.typed_key}":  # as the noise of a trained run
        key, parent = asked.typed_key, parent.removeprefix("evaluate.")
    if asked is not None and name in known:
        reason = next((line for line in text.splitlines()[1:] if line.strip()), "it cannot be set")
        return UserError(f"{asked.typed}: {reason.strip()}")
    problem = f"{key}: {parent} has no key {name!r}" if parent else f"{key}: no key {name!r}"
    if parent.startswith("hydra.sweeper") and "n_trials" not in known:
        return UserError(problem, _SEARCH_KEYS)
    sure = None if asked is None else surely_meant(key, asked.text)
    if sure is None and (hint := _term_hint(parent, name, known)):
        return UserError(problem, hint)
    near = nearest(name, known)
    other = sure if asked is None or (parent and near) else meant(key, asked.text)
    if other is not None:
        return UserError(problem, f"did you mean {other}?")
    listed = f"known here: {', '.join(sorted(known)) or 'none'}"
    return UserError(f"{problem}{near}", None if near and len(listed) > LONGEST else listed)


def _term_hint(parent: str, name: str, chosen: set[str]) -> str:
    """The term of a group that has a key, for groups of named terms; empty if none or several have.

    chosen: the keys that `parent` has.
    """
    if not parent:
        return ""
    group = parent.partition(".")[0]
    options = builtin_options(group)
    files = [yaml.safe_load(file.read_text()) or {} for file in options.values()]
    terms = {term: node for file in files for term, node in file.items() if isinstance(node, dict)}
    if parent == group and name in terms:
        return f"it needs {group}={name}"
    owners = sorted(term for term, node in terms.items() if name in node)
    owners = [term for term in owners if term in chosen] or owners
    keys = [f"{group}.{term}.{name}" for term in owners]
    missing = [term for term in owners if term in options and term not in chosen]
    choice = f", with {group}={missing[0]}" if len(owners) == len(missing) == 1 else ""
    return f"write {' or '.join(keys)}{choice}" if 1 <= len(keys) <= 3 else ""
