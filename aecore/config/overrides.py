"""Parses the command line: Hydra's flags, and overrides by Hydra's parser."""

from __future__ import annotations

import os
import re
from argparse import ArgumentError, Namespace
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra._internal.utils import get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep
from hydra.core.override_parser.types import Override as HydraOverride
from hydra.errors import HydraException

from aecore.config.folders import HOME, command, expanded, groups
from aecore.errors import UserError, shown

OOD = "evaluate.ood"  # other data sets, by their names
SUBDIR = "hydra.sweep.subdir"  # the folder of a job below that of its sweep
_OPEN = (  # mappings of Hydra's configuration that take any key
    "hydra.job.env_set", "hydra.launcher.additional_parameters", "hydra.launcher.ray",
    "hydra.sweeper.params",
)  # fmt: skip
_PLAIN = re.compile(r"[\w.+/-]*", re.ASCII)  # a value that needs no quotes in Hydra's grammar
_COMPLETES = re.compile("(install|uninstall|query)=")
_QUOTED = re.compile(r"(^|[\[,])\s*['\"]")


@dataclass(frozen=True)
class Override:
    """One override.

    key: the key of a value, `latent.dim`, or the node of an option, `evaluate.noise`.
    group: the config group of an option, None for a value.
    package: Hydra's package of the option, if not the default of its group.
    sign: `+`, `++`, `~` or empty. text: the value in Hydra's grammar. typed: as it was typed.
    """

    key: str
    group: str | None
    package: str | None
    sign: str
    text: str
    typed: str
    parsed: HydraOverride = field(compare=False, repr=False)

    @property
    def value(self) -> Any:
        """The value, plain, or one of Hydra's sweeps."""
        return self.parsed.value()

    @property
    def typed_key(self) -> str:
        """The key as it was typed."""
        return self.typed.partition("=")[0]

    @property
    def is_sweep(self) -> bool:
        """Whether it has several values."""
        return bool(self.parsed.is_sweep_override())

    @property
    def of_hydra(self) -> bool:
        """Whether it is an option of Hydra itself."""
        return self.key.startswith("hydra.")

    @property
    def name(self) -> str:
        """The part before `=`, without the sign."""
        place = f"@{self.package}" if self.package else ""
        return f"{self.group or self.key}{place}"

    @property
    def line(self) -> str:
        """The override in Hydra's grammar."""
        deletes = self.sign == "~" and not self.text
        return f"{self.sign}{self.name}{'' if deletes else f'={self.text}'}"

    def is_below(self, node: str) -> bool:
        """Whether it changes a node, or a value below it."""
        return f"{self.key}.".startswith(f"{node}.")

    def single(self, loader: ConfigLoader | None = None) -> list[Override]:
        """An override for each of its values, in order; itself if it has one.

        loader: provides the options of `glob(...)`.
        """
        if not self.is_sweep:
            return [self]
        texts = [*replace(self.parsed, config_loader=loader).sweep_string_iterator()]
        twice = next((text for text in texts if texts.count(text) > 1), None)
        if twice is not None:
            raise UserError(f"{self.typed}: {twice} stands there twice", "once is enough")
        return [one for text in texts for one in read([f"{self.sign}{self.name}={text}"])]


@dataclass(frozen=True)
class Arguments:
    """A command line. own: the folders that `--config-dir` adds to conf/."""

    flags: tuple[str, ...]
    overrides: tuple[Override, ...]
    multirun: bool
    informational: bool  # --cfg, --info and similar flags, handled by Hydra
    own: tuple[Path, ...] = ()

    def last(self, key: str) -> Override | None:
        """The last override of a key, None if there is none."""
        return next((o for o in reversed(self.overrides) if o.key == key), None)

    def path(self, key: str) -> Path | None:
        """The path in the value of a key, None if there is none."""
        found = self.last(key)
        return None if found is None or found.value in (None, "") else Path(str(found.value))

    @property
    def typed(self) -> list[str]:
        """The overrides as they were typed."""
        return list(dict.fromkeys(o.typed for o in self.overrides))

    def lines_of(self, overrides: Iterable[Override]) -> list[str]:
        """Overrides in Hydra's grammar, with its search path."""
        places = ",".join(quoted(f"file://{place}") for place in (*self.own, HOME))
        return [f"hydra.searchpath=[{places}]", *(o.line for o in overrides)]

    @property
    def lines(self) -> list[str]:
        """All overrides in that form."""
        return self.lines_of(self.overrides)

    @property
    def argv(self) -> list[str]:
        """The arguments of Hydra's application; flags last, as `--info` takes what follows it."""
        return [*self.lines, *(["--multirun"] if self.multirun else []), *self.flags]

    @property
    def config_name(self) -> str:
        """The primary configuration, `config` unless `--config-name` names another."""
        flags = self.flags
        return flags[flags.index("--config-name") + 1] if "--config-name" in flags else "config"


def parse(argv: Iterable[str]) -> Arguments:
    """Read a command line; raises UserError."""
    argv = [*argv]
    args, unknown = _flags(argv)
    if unknown:
        raise UserError(f"{unknown[0]}: unknown flag", f"`{command()} --help` lists the flags")
    _check_flags(args)
    flags = []
    own = _own(args)
    for folder in own:
        flags += ["--config-dir", str(folder)]
    if args.config_name is not None:
        flags += ["--config-name", args.config_name]
    asked = [name for name in ("cfg", "info", "shell_completion", "run") if getattr(args, name)]
    informational = bool(args.hydra_help or {*asked} - {"run"})
    several = [*asked, *(["multirun"] if args.multirun and informational else [])]
    if len(several) > 1:
        raise UserError(f"--{several[0]}: does not go with --{several[1]}", "give one of them")
    if informational:
        flags = [a for a in argv if a not in args.overrides]
    return Arguments(tuple(flags), read(args.overrides), args.multirun, informational, tuple(own))


def read(overrides: Iterable[str]) -> tuple[Override, ...]:
    """Overrides as they are typed or recorded; raises UserError."""
    return tuple(override for text in overrides for override in _read(text))


def named_folders(argv: list[str]) -> list[Path]:
    """The folder of `--config-dir`; raises UserError if it does not exist."""
    return _own(_flags(argv)[0])


def searched(places: Iterable[str]) -> list[Path]:
    """The user's folders in `hydra.searchpath`."""
    found = [Path(place.removeprefix("file://")) for place in places if place.startswith("file://")]
    return [folder for folder in found if folder != HOME]


def quoted(text: str) -> str:
    """A text in quotes, for Hydra's grammar."""
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", text)
    return f"'{escaped}'"


def as_override(key: str, value: Any) -> str:
    """An override that sets a key to a plain value, which is taken literally; quoted if need be."""
    with suppress(UserError):
        (plain,) = read([f"{key}={shown(value)}"])
        if plain.value == value and type(plain.value) is type(value) and "${" not in plain.text:
            return plain.typed
    return f"{key}={_in_grammar(value)}"


def _in_grammar(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value.replace("${", "\\${"))  # as OmegaConf escapes it
    if isinstance(value, list):
        return f"[{','.join(map(_in_grammar, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{k}:{_in_grammar(v)}' for k, v in value.items())}}}"
    return shown(value)


def _flags(argv: list[str]) -> tuple[Namespace, list[str]]:
    """Hydra's flags, the overrides, and unknown arguments."""
    parser = get_args_parser()
    parser.exit_on_error = False
    try:
        return parser.parse_known_intermixed_args(argv)
    except ArgumentError as error:
        raise UserError(str(error)) from error


def _check_flags(args: Namespace) -> None:
    """Raise UserError for a flag of Hydra's that would have no effect, or that loads code."""
    refused = {
        "--experimental-rerun": (args.experimental_rerun, "resume=FOLDER continues a run"),
        "--config-path": (args.config_path, "--config-dir FOLDER adds options of your own"),
        "--package": (args.package and not args.cfg, "it goes with --cfg"),
        "--shell-completion": (
            args.shell_completion and not any(map(_COMPLETES.match, args.overrides)),
            "it takes install=bash, or uninstall= or query= and a shell",
        ),
        "--resolve": (args.resolve and not args.cfg, "it goes with --cfg"),
    }
    for flag, (given, hint) in refused.items():
        if given:
            raise UserError(f"{flag}: not used here", hint)


def _own(args: Namespace) -> list[Path]:
    if args.config_dir is None:
        return []
    folder = expanded(args.config_dir).absolute()
    if not folder.is_dir():
        raise UserError(f"--config-dir {args.config_dir}: no such folder")
    if not any((folder / group).is_dir() for group in (*groups(), "hydra")):
        raise UserError(
            f"--config-dir {args.config_dir}: no options there",
            f"they are in folders named after their groups: {args.config_dir}/penalty/NAME.yaml",
        )
    return [folder]


@lru_cache(maxsize=4096)
def _read(typed: str) -> tuple[Override, ...]:
    """Parse the text of an override."""
    key, equals, value = typed.partition("=")
    if not equals and not typed.startswith("~"):
        raise UserError(
            f"{typed}: neither a flag nor key=value",
            f"write for example model=vae; `{command()} --help` lists the options",
        )
    return tuple(_override(name, text, typed) for name, text in _aliased(key, value, typed))


def _override(name: str, text: str, typed: str) -> Override:
    parsed = _parsed(f"{name}={text}" if "=" in typed else name, typed)
    place, package = str(parsed.key_or_group), parsed.package
    chooses = bool(package) or "/" in place or place in groups()
    sign = name[: len(name) - len(name.lstrip("+~"))]
    key = package or place.replace("/", ".")
    if key.startswith("hydra.") and sign != "~":  # its keys are known but for a few mappings
        sign = "++" if any(f"{key}.".startswith(f"{node}.") for node in _OPEN) else ""
    return Override(key, place if chooses else None, package, sign, text, typed, parsed)


def _parsed(line: str, typed: str) -> HydraOverride:
    try:
        return OverridesParser.create().parse_override(line)
    except (HydraException, ValueError, RecursionError) as error:  # of 5,000 digits or brackets
        quotes = "='".join(typed.split("=", 1))
        raise UserError(
            f"{typed}: cannot be read",
            f'put quotes around a value with special characters: "{quotes}\'"',
        ) from error


def _aliased(key: str, value: str, typed: str) -> Iterator[tuple[str, str]]:
    """Aliases of overrides: short forms of config groups."""
    match key:
        case "evaluate.noise" | "evaluate/noise":
            yield "noise@evaluate.noise", value
        case "evaluate.metrics":
            yield "evaluate/metrics", value
        case "evaluate.ood":
            for name in _data_sets(value, typed):
                yield f"+dataset@{OOD}.{name}", name
        case _:
            yield key, _as_text(key, value)


def _data_sets(value: str, typed: str) -> list[str]:
    """The names in `evaluate.ood=[A,B]`, each once."""
    found = _parsed(f"{OOD}={value}", typed).value()
    listed = found.list if isinstance(found, ChoiceSweep) else found
    names = [str(name) for name in (listed if isinstance(listed, list) else [listed]) if name]
    if not names or isinstance(found, ChoiceSweep):
        hint = f"write {OOD}=[{','.join(names or ['kmnist'])}]"
        raise UserError(f"{typed}: must be data sets", hint)
    return list(dict.fromkeys(names))


def _as_text(key: str, value: str) -> str:
    """The value, in quotes if it is a path with special characters."""
    if _PLAIN.fullmatch(value) or _QUOTED.search(value) or not _is_path(key):
        return value
    value = os.path.expanduser(value)
    if not (value.startswith("[") and value.endswith("]")):
        return quoted(value)
    names = [name.strip() for name in value[1:-1].split(",")]
    return f"[{','.join(n if _PLAIN.fullmatch(n) else quoted(n) for n in names)}]"


def _is_path(key: str) -> bool:
    from aecore.config.schema import is_path  # imports pydantic, which is slow

    return key in ("hydra.run.dir", "hydra.sweep.dir", SUBDIR) or is_path(key)
