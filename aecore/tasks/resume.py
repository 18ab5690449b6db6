"""`resume=RUN_FOLDER`: the configuration of the run, read before Hydra composes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aecore.config.overrides import Override
from aecore.errors import UserError
from aecore.runs.folder import read_config, read_run
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


def recorded_run(folder: Path, overrides: Iterable[Override]) -> Request:
    """The request that a run folder recorded, with what may change; raises UserError."""
    config = read_config(folder)
    choices = read_run(folder)["choices"]
    for override in overrides:
        if override.key != "resume":
            _change(config, override)
    return Request(config, choices, [], lambda: folder, resumed=True)


def _change(config: dict[str, Any], override: Override) -> None:
    """Apply one override to a recorded configuration, if it may change."""
    key, value = override.key, override.value
    group, _, name = key.partition(".")
    if key == "trainer.max_epochs":
        before = config["trainer"]["max_epochs"]
        if not isinstance(value, int) or (isinstance(before, int) and value < before):
            raise UserError(
                f"{override.typed}: the run was made for {before} epochs", f"give {before} or more"
            )
    elif key not in _FREE:
        allowed = ", ".join(("trainer.max_epochs (more)", *_FREE))
        raise UserError(
            f"{override.typed}: a resumed run keeps its own configuration",
            f"only these may change: {allowed}; init_from= starts a new run from its weights",
        )
    config[group][name] = value
