"""`resume=RUN_FOLDER`: the run's own configuration, read before Hydra composes anything."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from aecore.choices import check_choices, split_override
from aecore.errors import UserError
from aecore.results import read_config, read_run
from aecore.roots import command, flags, known

if TYPE_CHECKING:
    from aecore.sweep import Sweep
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
    words = read_run(folder)["words"]
    for override in overrides:
        key, text = split_override(override)
        if key not in ("resume", "hydra.searchpath"):
            _change(config, key, text)
    return Request(config, words, [], lambda: folder, resumed=True)


def recorded_sweep(folder: Path) -> Callable[[list[str]], int] | None:
    """What continues the sweep of a folder, None where it holds none; raises UserError.

    The grid is the recorded one; only Hydra's own overrides (another launcher, for a search also
    other numbers of trials) may be given, and the folder of the user's own words must be given
    again: no code is read from where a record points to.
    """
    if not (folder / "sweep.json").is_file():
        return None
    from aecore.sweep import launch, read

    recorded = read(folder)
    assert recorded is not None

    def go_on(overrides: list[str]) -> int:
        more = [o for o in overrides if split_override(o)[0] not in ("resume", "hydra.searchpath")]
        _check_recorded(recorded)
        sweep = _from_here(recorded, overrides)
        free = ["hydra/launcher=", "hydra.launcher."]
        if sweep.search is not None:
            free += ["hydra.sweeper.n_trials=", "hydra.sweeper.n_jobs="]
        strange = [o for o in more if not o.startswith(tuple(free))]
        if strange:
            raise UserError(
                f"{strange[0]}: a resumed sweep keeps its own grid and configuration\n"
                f"  only these may be given: {', '.join(free)}"
            )
        return launch(sweep, more)

    return go_on


def _from_here(sweep: Sweep, overrides: list[str]) -> Sweep:
    """A recorded sweep with the folders of words that this command line names, not its own."""
    before = sweep.flags
    if "--config-dir" in before:
        at = before.index("--config-dir")
        if not flags():
            raise UserError(
                f"{sweep.folder}: started with words of your own, which must be named again\n"
                f"  {command()} {shlex.join([*before[at : at + 2], f'resume={sweep.folder}'])}"
            )
        before = [*before[:at], *before[at + 2 :]]
    place = [o for o in overrides if split_override(o)[0] == "hydra.searchpath"]
    kept = [o for o in sweep.overrides if split_override(o)[0] != "hydra.searchpath"]
    return replace(sweep, flags=[*flags(), *before], overrides=[*place, *kept])


def _check_recorded(sweep: Sweep) -> None:
    """Raise UserError where a record names classes by itself, or would read the environment."""
    for override in (*sweep.overrides, *(o for job in sweep.jobs for o in job)):
        if "_target_" in split_override(override)[0] or "${" in override:
            raise UserError(
                f"{sweep.folder / 'sweep.json'}: {override}: not taken from a record\n"
                "  start the sweep anew with it"
            )


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
