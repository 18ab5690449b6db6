"""From a command line to one resolved configuration, composed by Hydra."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobRuntime
from hydra.errors import HydraException
from hydra.initialize import get_gh_backup, restore_gh_from_backup
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError

from aecore.config.arguments import Arguments
from aecore.config.folders import CONF
from aecore.config.folders import groups as group_names
from aecore.config.groups import check_choices, options_by_group
from aecore.config.hydra_errors import explain_hydra
from aecore.config.overrides import Override
from aecore.config.secret import secret_keys
from aecore.errors import UserError, short, shown


@dataclass(frozen=True)
class Composition:
    """A composed configuration with Hydra's information about it.

    config: every key except `hydra`, resolved, in plain containers.
    choices: the option of each config group, `{"model": "vae", "penalty": ["kl", "l1"], ...}`.
    overrides: as they were typed.
    parameters: `hydra.sweeper.params`, the grid of a study, key -> values in Hydra's grammar.
    overridden: the keys of the overrides.
    secrets: the keys of `config` whose values must not be written to disk.
    whole: the configuration with the key `hydra`, as Hydra composed it.
    """

    config: dict[str, Any]
    choices: dict[str, Any]
    overrides: list[str]
    run_dir: Path
    multirun: bool
    sweeper: str
    parameters: dict[str, str]
    overridden: frozenset[str]
    secrets: Sequence[str]
    whole: DictConfig = field(repr=False)


def compose(arguments: Arguments) -> Composition:
    """The configuration of a command line, every interpolation resolved; raises UserError."""
    check_choices(arguments.overrides, options_by_group(arguments.config_dirs))
    several = [o for o in arguments.overrides if o.is_sweep]
    if alone := [o for o in several if o.of_hydra]:
        raise UserError(f"{alone[0].typed}: several values", "Hydra's own settings take one")
    if several and not arguments.multirun:
        hint = "add -m to run every combination of them"
        if several[0].parsed.is_interval_sweep():
            hint = "give one; -m hydra/sweeper=optuna optimized_metric=val/loss searches in it"
        raise UserError(f"{several[0].typed}: several values", hint)
    single = [o for o in arguments.overrides if not o.is_sweep]
    with composing(arguments, single):
        config = _composed(arguments, single)
        hydra = config.hydra
        plain = resolved(config)
        parameters = OmegaConf.to_container(hydra.sweeper.get("params") or OmegaConf.create({}))
        assert isinstance(parameters, dict)
        if "task" not in plain:
            raise UserError(
                f"--config-name {arguments.config_name}: no configuration of an experiment",
                "its defaults must begin with config, as those of conf/config.yaml",
            )
        chosen = choices(hydra.runtime.choices, plain)
        overridden = frozenset(o.key for o in arguments.overrides)
        run_dir, experiment = Path(str(hydra.run.dir)), chosen.get("experiment")
        if experiment and "hydra.run.dir" not in overridden:  # its name names the folder
            run_dir = run_dir.parent.with_name(experiment) / run_dir.name
        return Composition(
            config=plain,
            choices=chosen,
            overrides=arguments.typed,
            run_dir=run_dir,
            multirun=arguments.multirun or hydra.mode == RunMode.MULTIRUN,
            sweeper=str(hydra.runtime.choices["hydra/sweeper"]),
            parameters={str(k): shown(v) for k, v in parameters.items()},
            overridden=overridden,
            secrets=secret_keys(config),
            whole=config,
        )


def resolved(whole: DictConfig) -> dict[str, Any]:
    """Every key of a configuration except `hydra`, resolved, in plain containers."""
    return plain(without_hydra(whole))


def without_hydra(whole: DictConfig) -> DictConfig:
    """A copy of a configuration without Hydra's own part, which takes no new keys either."""
    kept = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
    OmegaConf.set_struct(kept, OmegaConf.is_struct(whole) or False)
    return kept


def plain(config: DictConfig) -> dict[str, Any]:
    """Every key of a configuration, resolved, in plain containers."""
    values: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    return values


@contextmanager
def hydra_of(arguments: Arguments) -> Iterator[Hydra]:
    """Hydra with the folder `conf/`; the state of an enclosing Hydra program is restored."""
    other, runtime = get_gh_backup(), JobRuntime.instance()
    name = runtime.get("name")
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            hydra = GlobalHydra.instance().hydra
            assert hydra is not None
            yield hydra
    finally:
        restore_gh_from_backup(other)
        runtime.set("name", name)


@contextmanager
def composing(arguments: Arguments, overrides: Sequence[Override]) -> Iterator[None]:
    """Raise UserError for errors of Hydra, OmegaConf or YAML in these overrides."""
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise explain_hydra(error, overrides, lambda kept: _composed(arguments, kept)) from None
    except OSError as error:  # a name that no file may have
        where = short(error.filename or arguments.config_name)
        raise UserError(f"{where}: {error.strerror}", "give another name") from error
    except MarkedYAMLError as error:  # in a file of the user
        mark = error.problem_mark or error.context_mark
        where = f"{mark.name}, line {mark.line + 1}" if mark else "--config-dir"
        raise UserError(f"{where}: no YAML ({error.problem})") from error


def choices(chosen: Mapping[Any, Any], config: Mapping[Any, Any]) -> dict[str, Any]:
    """The option of each config group; for lists, which Hydra omits, the names of the items.

    chosen: Hydra's record, `hydra.runtime.choices`.
    """
    options = {str(k): v for k, v in chosen.items() if "hydra/" not in str(k)}
    options.pop("trainer/accelerator", None)  # the value may have been overridden
    for group in group_names():
        node: Any = config
        for part in group.split("/"):
            node = node.get(part) if isinstance(node, Mapping) else None
        if isinstance(node, Mapping):
            several = [name for name, one in node.items() if isinstance(one, Mapping)]
            options.setdefault(group, several)
    return options


def _composed(arguments: Arguments, overrides: Iterable[Override]) -> DictConfig:
    with hydra_of(arguments) as hydra:
        try:
            return hydra.compose_config(
                arguments.config_name,
                arguments.lines_of(overrides),
                run_mode=RunMode.RUN,
                from_shell=False,
                with_log_configuration=False,
            )
        except (ValueError, TypeError, AttributeError, RecursionError) as error:  # for `hydra=5`
            raise HydraException(f"cannot be composed: {error}") from error
