"""`resume=RUN_FOLDER`: the run's own configuration, read before Hydra composes anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from aecore.choices import check_choices, split_override
from aecore.errors import UserError
from aecore.results import read_config, read_run
from aecore.roots import CONF

if TYPE_CHECKING:
    from aecore.tasks.base import Request

_FREE = (
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.threads",
    "paths.data_dir",
    "paths.output_dir",
)


def recorded(overrides: list[str]) -> Request | None:
    """The request that a folder recorded, None where `resume` was not given; raises UserError."""
    given = dict(split_override(o) for o in overrides if not o.startswith("hydra.searchpath="))
    text = given.pop("resume", "").strip("'\"")
    if text in ("", "null"):
        return None
    folder = Path(text)
    from aecore.tasks.base import Request

    config = read_config(folder)
    words = read_run(folder)["words"]
    for key, text in given.items():
        _change(config, key, text)
    return Request(config, words, [], lambda: folder, resumed=True)


def _change(config: dict[str, Any], key: str, text: str) -> None:
    """Apply one override to a recorded configuration, if it may change."""
    if key == "trainer/accelerator":
        choices = {f.stem for f in (CONF / key).glob("*.yaml")}
        check_choices([f"{key}={text}"], {key: choices})
        config["trainer"]["accelerator"] = yaml.safe_load((CONF / key / f"{text}.yaml").read_text())
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
