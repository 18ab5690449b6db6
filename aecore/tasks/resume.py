"""`resume=RUN_FOLDER`: the configuration of the run, read before Hydra composes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from aecore.config.arguments import parse
from aecore.config.build import validate
from aecore.config.compose import Composition, compose
from aecore.config.folders import flags, known, resuming
from aecore.config.overrides import OOD, Override, as_override
from aecore.config.schema import Config
from aecore.config.secret import without_secrets
from aecore.config.tree import at, put
from aecore.errors import UserError
from aecore.runs.folder import CONFIG, read_config, read_run
from aecore.runs.places import is_place, places, same_place
from aecore.runs.sweep import STORAGE
from aecore.runs.validation import printable
from aecore.tasks.base import Request

_FREE = (
    "trainer.accelerator",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.threads",
    "trainer.checkpoint_minutes",
    "dataset.in_memory",
    "dataset.cache_dir",
    "paths.data_dir",
    "paths.output_dir",
)
_TASK = "train"  # the only one that leaves a run to be resumed
_NOT_RECORDED = ("resume", "runs", "out", "run")  # nothing that a record may decide
_NAME = re.compile(r"\w[\w-]*")  # of an option


def recorded_run(folder: Path, overrides: Iterable[Override]) -> Request:
    """The request that a run folder recorded, with what may change; raises UserError.

    Of what leads outside the run folder (`aecore.runs.places`), only what this user's own
    configuration says too is taken from the record; the rest must be given again.
    """
    config, record = read_training(folder), read_run(folder)
    typed = [o for o in overrides if o.key not in ("resume", STORAGE)]
    for override in typed:
        _change(config, override)
    composed = _user_composition(config, record["choices"], typed)
    user_config, secrets = without_secrets(composed.config, composed.secrets)
    given = {o.key for o in typed}
    config, secrets = settled(config, user_config, secrets, given, folder)
    return Request(config, record["choices"], [], lambda: folder, resumed=True, secrets=secrets)


def read_training(folder: Path) -> dict[str, Any]:
    """The recorded configuration of a training; UserError where it is none."""
    config = read_config(folder)
    try:
        task = validate(Config, config).task
    except UserError as error:
        raise UserError(f"{folder / CONFIG}: {printable(error.summary)}", error.advice) from error
    if task != _TASK:
        raise UserError(f"{folder / CONFIG}: task={task}: only a training can be resumed")
    return config | {key: None for key in _NOT_RECORDED if key in config}


def settled(
    recorded: Mapping[str, Any],
    user_config: Mapping[str, Any],
    secrets: Mapping[str, Any],
    given: Collection[str],
    folder: Path,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A recorded configuration whose places are all known to the user, and its secret values.

    user_config, secrets: this user's own configuration and its secret values. given: the keys that
        were typed; their values are in these two.
    Raises UserError for a place that is in none of them, and for a secret that is needed.
    """
    unknown = [
        as_override(key, value)
        for key, value in places(recorded).items()
        if key not in given and value is not None and not same_place(value, at(user_config, key))
    ]
    if unknown:
        raise UserError(
            f"{folder / CONFIG}: {', '.join(unknown)}: leads elsewhere, so give it again",
            f"if it is yours: {resuming(folder)} {shlex.join(unknown)}",
        )
    noted = [key for key in read_run(folder)["redacted"] if at(recorded, key) is None]
    missing = [key for key in noted if key not in secrets and key not in given]
    if missing:
        again = " ".join(f"{key}='${{oc.env:NAME}}'" for key in missing)
        raise UserError(
            f"{folder}: {', '.join(missing)} is not recorded: give it again",
            f"{resuming(folder)} {again}",
        )
    config = deepcopy(dict(recorded))
    for key in filter(is_place, given):
        put(config, key, at(user_config, key))
    for key in secrets:
        put(config, key, None)
    return config, dict(secrets)


def place_overrides(config: Mapping[str, Any]) -> list[str]:
    """Overrides that give the places of a configuration again, for a process started from here."""
    values = {"paths.output_dir": config["paths"]["output_dir"], **places(config)}
    return [as_override(key, value) for key, value in values.items() if value is not None]


def _user_composition(
    config: Mapping[str, Any], choices: Mapping[str, Any], typed: Iterable[Override]
) -> Composition:
    """What this user's own configuration says of the places of a run, with what was typed."""
    lines = [*_chosen(config, choices), *(o.line for o in typed if is_place(o.key))]
    return compose(parse([*flags(), *lines]))


def _chosen(config: Mapping[str, Any], choices: Mapping[str, Any]) -> Iterator[str]:
    """The options of a run that have places among their keys, where this user has them too."""
    target = config["logger"].get("_target_")
    for name, file in known("logger").items():
        node = yaml.safe_load(file.read_text("utf-8"))
        if isinstance(node, dict) and node.get("_target_") == target:
            yield f"logger={name}"
    for group, name in choices.items():
        where = f"dataset@{OOD}."
        other = group.startswith(where) and _NAME.fullmatch(group.removeprefix(where))
        if (group == "dataset" or other) and name in known("dataset"):
            yield f"{'+' if other else ''}{group}={name}"


def _change(config: dict[str, Any], override: Override) -> None:
    """Apply one override to a recorded configuration, if it may change."""
    key, value = override.key, override.value
    if key == "trainer.max_epochs":
        before = config["trainer"]["max_epochs"]
        if not isinstance(value, int) or (isinstance(before, int) and value < before):
            raise UserError(
                f"{override.typed}: the run was made for {before} epochs", f"give {before} or more"
            )
    elif key not in _FREE and not (is_place(key) and override.group is None):
        allowed = ", ".join(("trainer.max_epochs (more)", *_FREE))
        raise UserError(
            f"{override.typed}: a resumed run keeps its own configuration",
            f"only these may change: {allowed}; init_from= starts a new run from its weights",
        )
    if not is_place(key):  # of places, `_user_composition` has the value
        put(config, key, value)
