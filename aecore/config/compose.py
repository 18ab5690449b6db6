"""Hydra's side of the door: from arguments to one resolved configuration, or one line of error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import initialize_config_dir
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.initialize import get_gh_backup, restore_gh_from_backup
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError

from aecore.config.arguments import WORDS, Arguments
from aecore.config.choices import check_choices, split_override
from aecore.config.folders import CONF, ours, resuming, theirs
from aecore.config.folders import groups as group_names
from aecore.config.hydra_errors import explain
from aecore.errors import UserError
from aecore.runs.folder import is_run, reserve

if TYPE_CHECKING:
    from aecore.tasks.base import Request

_PRESETS = ("experiment", "sweeps", "model")  # they set values and have none of their own


@dataclass(frozen=True)
class Job:
    """One composed configuration with what Hydra knows about it.

    parameters: `hydra.sweeper.params`, the grid of a study.
    whole: the configuration with Hydra's own part, as Hydra composed it.
    """

    config: dict[str, Any]
    words: dict[str, Any]
    overrides: list[str]
    run_dir: str
    sweep_dir: str
    multirun: bool
    sweeper: str
    parameters: dict[str, str]
    given: frozenset[str]
    whole: DictConfig = field(repr=False)

    def request(self) -> Request:
        """As a request to a task; its folder is made when first asked for."""
        from aecore.tasks.base import Request

        return Request(self.config, self.words, self.overrides, self._folder)

    def _folder(self) -> Path:
        folder = Path(self.run_dir)
        if "hydra.run.dir" not in self.given:
            return reserve(folder)
        if is_run(folder):
            raise UserError(
                f"hydra.run.dir={folder}: holds a run already\n"
                f"  {resuming(folder)} continues it; or give another folder"
            )
        folder.mkdir(parents=True, exist_ok=True)
        return folder


@contextmanager
def opened(arguments: Arguments) -> Iterator[Hydra]:
    """Hydra with our configuration folder; that of a program around this one is put back."""
    other = get_gh_backup()
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            hydra = GlobalHydra.instance().hydra
            assert hydra is not None
            yield hydra
    finally:
        restore_gh_from_backup(other)


def compose(arguments: Arguments) -> Job:
    """The configuration of a command line, every interpolation resolved; raises UserError."""
    check_choices(arguments.overrides, groups(arguments))
    plain = [o for o in arguments.overrides if not (arguments.multirun and _is_sweep(o))]
    try:
        config = _composed(arguments, plain)
        hydra = config.hydra
        own = OmegaConf.masked_copy(config, [str(k) for k in config if k != "hydra"])
        resolved = OmegaConf.to_container(own, resolve=True)
        parameters = OmegaConf.to_container(hydra.sweeper.get("params") or OmegaConf.create({}))
        assert isinstance(resolved, dict) and isinstance(parameters, dict)
        words = choices(hydra, resolved)
        given = frozenset(split_override(o)[0] for o in arguments.overrides)
        run_dir = Path(str(hydra.run.dir))
        if words.get("experiment") and "hydra.run.dir" not in given:  # it has a name: use it
            run_dir = run_dir.parent.with_name(words["experiment"]) / run_dir.name
        return Job(
            config=without_presets(resolved),
            words=words,
            overrides=arguments.typed,
            run_dir=str(run_dir),
            sweep_dir=str(hydra.sweep.dir),
            multirun=arguments.multirun or hydra.mode == RunMode.MULTIRUN,
            sweeper=str(hydra.sweeper.get("_target_")),
            parameters={str(k): str(v) for k, v in parameters.items()},
            given=given,
            whole=config,
        )
    except (HydraException, OmegaConfBaseException) as error:
        raise refusal(error, arguments, plain) from None
    except MarkedYAMLError as error:  # in a file of the user's own
        mark = error.problem_mark or error.context_mark
        where = f"{mark.name}, line {mark.line + 1}" if mark else "--config-dir"
        raise UserError(f"{where}: no YAML ({error.problem})") from error


def refusal(error: Exception, arguments: Arguments, overrides: list[str]) -> UserError:
    """What the user is told of an error of Hydra's."""
    words = {group for group in groups(arguments) if "/" not in group}
    return explain(error, overrides, lambda kept: _composed(arguments, kept), words)


def without_presets(config: dict[Any, Any]) -> dict[str, Any]:
    """The configuration without the groups that only choose others."""
    return {str(k): v for k, v in config.items() if k not in _PRESETS}


def choices(hydra: DictConfig, config: dict[Any, Any]) -> dict[str, Any]:
    """The choice of each group; of lists, which Hydra leaves out, the names of the terms."""
    found = {str(k): v for k, v in hydra.runtime.choices.items() if "hydra/" not in str(k)}
    for group in ("penalty", "reconstruction", "figures"):
        found.setdefault(group, list(config[group]))
    found.setdefault(WORDS["evaluate.metrics"], list(config["evaluate"]["metrics"]))
    return found


def _composed(arguments: Arguments, overrides: list[str]) -> DictConfig:
    with opened(arguments) as hydra:
        return hydra.compose_config(
            arguments.config_name,
            overrides,
            run_mode=RunMode.RUN,
            from_shell=False,
            with_log_configuration=False,
        )


def _is_sweep(override: str) -> bool:
    return bool(OverridesParser.create().parse_override(override).is_sweep_override())


def groups(arguments: Arguments) -> dict[str, set[str]]:
    """Every group with its choices: ours, and those of `--config-dir`.

    Raises UserError for a file of the user's own that would never be read.
    """
    found = {}
    for group in group_names():
        known, own = ours(group), theirs(group, arguments.own)
        for name in known.keys() & own.keys():
            raise UserError(
                f"{own[name]}: there is a {group}={name} already, in {known[name]}\n"
                "  give it another name"
            )
        found[group] = {*known, *own}
    return found
