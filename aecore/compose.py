"""Hydra's side of the door: arguments -> one resolved configuration, or one line of error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import initialize_config_dir
from hydra._internal.hydra import Hydra
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from aecore.choices import OTHER_DATA, check_choices, split_override
from aecore.errors import UserError
from aecore.explain import explain
from aecore.results import is_run, reserve
from aecore.roots import CONF, ROOT

if TYPE_CHECKING:
    from aecore.tasks.base import Request

# their values are paths, which Hydra's grammar would choke on
_PATHS = (
    "hydra.run.dir", "hydra.sweep.dir", "init_from", "dataset.root", "dataset.path", "runs", "out",
)  # fmt: skip
_SPECIAL = set("=[]{}(),:' \"\\*?")
_WORDS = {"evaluate.noise": "noise@evaluate.noise", "evaluate.metrics": "metrics@evaluate.metrics"}
_PRESETS = ("experiment", "sweeps", "model")  # they set values and have none of their own


@dataclass(frozen=True)
class Arguments:
    """A command line: Hydra's flags and the overrides, in Hydra's grammar."""

    flags: list[str]
    overrides: list[str]
    multirun: bool
    informational: bool  # --cfg, --info and the like: Hydra answers them
    typed: list[str] = field(default_factory=list)

    @property
    def argv(self) -> list[str]:
        """As a command line again."""
        return [*self.flags, *(["--multirun"] if self.multirun else []), *self.overrides]

    @property
    def config_name(self) -> str:
        """The primary configuration, `config` unless `--config-name` says another."""
        flags = self.flags
        return flags[flags.index("--config-name") + 1] if "--config-name" in flags else "config"

    @property
    def roots(self) -> list[Path]:
        """Where groups are looked for: conf/, and what `--config-dir` adds."""
        flags = self.flags
        own = [Path(flags[flags.index("--config-dir") + 1])] if "--config-dir" in flags else []
        return [CONF, *own]


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
                f"  continue it with resume={folder}, or give another folder"
            )
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def parse(argv: list[str]) -> Arguments:
    """Split flags from overrides and put the overrides into Hydra's grammar; raises UserError."""
    parser = get_args_parser()
    parser.exit_on_error = False
    args, strangers = parser.parse_known_intermixed_args(argv)
    if strangers:
        raise UserError(f"{strangers[0]}: unknown flag\n  `python run.py --help` lists the flags")
    flags = []
    if args.config_dir is not None:
        flags += ["--config-dir", str(Path(args.config_dir).absolute())]
    if args.config_name is not None:
        flags += ["--config-name", args.config_name]
    informational = bool(args.cfg or args.info or args.hydra_help or args.shell_completion)
    if informational:
        flags = [a for a in argv if a not in args.overrides]
    places = [str(Path(args.config_dir).absolute())] if args.config_dir is not None else []
    search = ",".join(quoted(f"file://{place}") for place in (*places, ROOT))
    overrides = [f"hydra.searchpath=[{search}]", *(r for o in args.overrides for r in _ready(o))]
    return Arguments(flags, overrides, args.multirun, informational, args.overrides)


def _ready(override: str) -> list[str]:
    """Words of `evaluate` as the groups they are; quotes around paths that need them."""
    if "=" not in override and not override.startswith("~"):
        raise UserError(
            f"{override}: neither a flag nor key=value\n"
            "  write for example model=vae; `python run.py --help` lists the words"
        )
    key, value = split_override(override)
    if key == "metrics":
        raise UserError(f"{override}: no such key\n  write evaluate.metrics={value}")
    if key in _WORDS:
        return [f"{_WORDS[key]}={value}"]
    if key == "evaluate.ood":
        return _other_data(override, value)
    place, _, name = key.rpartition(".")
    path = key in _PATHS or place == "paths"
    path |= place.startswith("evaluate.ood.") and f"dataset.{name}" in _PATHS
    if path and _SPECIAL & set(value) and value[:1] not in ("'", '"'):
        return [f"{key}={quoted(value)}"]
    return [override]


def _other_data(override: str, value: str) -> list[str]:
    """`evaluate.ood=[A,B]` as one more data set each."""
    names = dict.fromkeys(re.findall(r"[^\s\[\],'\"]+", value))
    if not names or ("," in value and not value.startswith("[")):
        listed = ",".join(names or ["kmnist"])
        raise UserError(f"{override}: must be data sets\n  write evaluate.ood=[{listed}]")
    return [f"{OTHER_DATA}{name}={name}" for name in names]


def quoted(text: str) -> str:
    """A text in quotes, as Hydra's grammar wants them."""
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", text)
    return f"'{escaped}'"


@contextmanager
def opened(arguments: Arguments) -> Iterator[Hydra]:
    """Hydra with our configuration folder."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        yield hydra


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
    for group in ("penalty", "figures"):
        found.setdefault(group, list(config[group]))
    found.setdefault(_WORDS["evaluate.metrics"], list(config["evaluate"]["metrics"]))
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
    """Every group with its choices, from the folders of conf/, sweeps/ and `--config-dir`."""
    found: dict[str, set[str]] = {"sweeps": set(), "experiment": set()}
    for root in arguments.roots:
        for file in root.rglob("*.yaml"):
            group = file.parent.relative_to(root).as_posix()
            if group != ".":
                found.setdefault(group, set()).add(file.stem)
    found["sweeps"] |= {file.stem for file in (ROOT / "sweeps").glob("*.yaml")}
    return found
