"""`resume=RUN_FOLDER`: the run's own configuration, read before Hydra composes anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from aecore.config.choices import check_choices, split_override
from aecore.config.folders import known
from aecore.errors import UserError
from aecore.runs.folder import read_config, read_run

if TYPE_CHECKING:
    from aecore.tasks.base import Request

_FREE = (
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.threads",
    "trainer.checkpoint_minutes",
    "dataset.in_memory",
    "dataset.cache_dir",
    "paths.data_dir",
    "paths.output_dir",
)


def resumed_folder(overrides: list[str]) -> Path | None:
    """The folder that `resume=` names, None where it was not given."""
    given = dict(split_override(o) for o in overrides)
    text = given.get("resume", "").strip("'\"")
    return None if text in ("", "null") else Path(text)


def recorded_run(folder: Path, overrides: list[str]) -> Request:
    """The request that a run folder recorded, with what may change; raises UserError."""
    from aecore.tasks.base import Request

    config = read_config(folder)
    words = read_run(folder)["choices"]
    for override in overrides:
        key, text = split_override(override)
        if key not in ("resume", "hydra.searchpath"):
            _change(config, key, text)
    return Request(config, words, [], lambda: folder, resumed=True)


def _change(config: dict[str, Any], key: str, text: str) -> None:
    """Apply one override to a recorded configuration, if it may change."""
    if key == "trainer/accelerator":
        files = known(key)
        check_choices([f"{key}={text}"], {key: set(files)})
        config["trainer"]["accelerator"] = yaml.safe_load(files[text].read_text())
        return
    value = text.strip("'\"") if key.startswith("paths.") else yaml.safe_load(text)
    group, _, name = key.partition(".")
    if key == "trainer.max_epochs":
        before = config["trainer"]["max_epochs"]
        if not isinstance(value, int) or value < before:
            raise UserError(
                f"trainer.max_epochs={text}: the run was made for {before} epochs\n"
                f"  give {before} or more"
            )
    elif key not in _FREE:
        allowed = ", ".join(("trainer.max_epochs (more)", "trainer/accelerator", *_FREE))
        raise UserError(
            f"{key}={text}: a resumed run keeps its own configuration\n"
            f"  only these may change: {allowed}; init_from= starts a new run from its weights"
        )
    config[group][name] = value
