"""The command line: Hydra's flags and overrides, put into Hydra's grammar."""

from __future__ import annotations

import re
from argparse import ArgumentError, Namespace
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hydra._internal.utils import get_args_parser

from aecore.config.choices import OTHER_DATA, split_override
from aecore.config.folders import HOME, command, groups
from aecore.errors import UserError

# their values are paths, which Hydra's grammar would choke on
_PATHS = (
    "hydra.run.dir", "hydra.sweep.dir", "init_from", "dataset.root", "dataset.path", "runs", "run",
    "out",
)  # fmt: skip
_NAMES = ("interpolate.images", "traverse.image")  # of files, as people call them
_SPECIAL = set("=[]{}(),:' \"\\*?")
WORDS = {"evaluate.noise": "noise@evaluate.noise", "evaluate.metrics": "metrics@evaluate.metrics"}
SEARCH = "hydra.searchpath"  # where Hydra looks for words beside conf/


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
    def own(self) -> list[Path]:
        """What `--config-dir` adds to conf/: a folder, or none."""
        flags = self.flags
        return [Path(flags[flags.index("--config-dir") + 1])] if "--config-dir" in flags else []


def parse(argv: list[str]) -> Arguments:
    """Split flags from overrides and put the overrides into Hydra's grammar; raises UserError."""
    args, strangers = _read(argv)
    if strangers:
        raise UserError(f"{strangers[0]}: unknown flag\n  `{command()} --help` lists the flags")
    flags = []
    own = _own(args)
    for folder in own:
        flags += ["--config-dir", str(folder)]
    if args.config_name is not None:
        flags += ["--config-name", args.config_name]
    informational = bool(args.cfg or args.info or args.hydra_help or args.shell_completion)
    if informational:
        flags = [a for a in argv if a not in args.overrides]
    search = ",".join(quoted(f"file://{place}") for place in (*own, HOME))
    overrides = [f"{SEARCH}=[{search}]", *(r for o in args.overrides for r in _ready(o))]
    return Arguments(flags, overrides, args.multirun, informational, args.overrides)


def own_folders(argv: list[str]) -> list[Path]:
    """The folder that `--config-dir` names, none where it is not there; raises UserError."""
    return _own(_read(argv)[0])


def searched(places: Iterable[str]) -> list[Path]:
    """The user's own folders among the places of `hydra.searchpath`."""
    found = [Path(place.removeprefix("file://")) for place in places if place.startswith("file://")]
    return [folder for folder in found if folder != HOME]


def _read(argv: list[str]) -> tuple[Namespace, list[str]]:
    """Hydra's flags and the overrides, and what is neither."""
    parser = get_args_parser()
    parser.exit_on_error = False
    try:
        return parser.parse_known_intermixed_args(argv)
    except ArgumentError as error:
        raise UserError(str(error)) from error


def _own(args: Namespace) -> list[Path]:
    if args.config_dir is None:
        return []
    folder = Path(args.config_dir).expanduser().absolute()
    if not folder.is_dir():
        raise UserError(f"--config-dir {args.config_dir}: no such folder")
    if not any((folder / group).is_dir() for group in (*groups(), "hydra")):
        raise UserError(
            f"--config-dir {args.config_dir}: no words there\n"
            f"  they lie in folders called as their groups: {args.config_dir}/penalty/NAME.yaml"
        )
    return [folder]


def _ready(override: str) -> list[str]:
    """Words of `evaluate` as the groups they are; quotes around paths that need them."""
    if "=" not in override and not override.startswith("~"):
        raise UserError(
            f"{override}: neither a flag nor key=value\n"
            f"  write for example model=vae; `{command()} --help` lists the words"
        )
    key, value = split_override(override)
    if key == "metrics":
        raise UserError(f"{override}: no such key\n  write evaluate.metrics={value}")
    if key in WORDS:
        return [f"{WORDS[key]}={value}"]
    if key == "evaluate.ood":
        return _other_data(override, value)
    if key in _NAMES:
        return [f"{key}={_named(value)}"]
    place, _, name = key.rpartition(".")
    path = key in _PATHS or place == "paths"
    path |= place.startswith("evaluate.ood.") and f"dataset.{name}" in _PATHS
    if path and _SPECIAL & set(value) and value[:1] not in ("'", '"'):
        return [f"{key}={quoted(value)}"]
    return [override]


def _named(value: str) -> str:
    """File names with quotes around each, unless somebody has put them there."""
    if re.search(r"(^|[\[,])\s*['\"]", value):
        return value
    listed = value.startswith("[") and value.endswith("]")
    names = [name.strip() for name in value[1:-1].split(",")] if listed else [value]
    plain = re.compile(r"[\w.+/-]+", re.ASCII)
    names = [name if plain.fullmatch(name) else quoted(name) for name in names]
    return f"[{','.join(names)}]" if listed else names[0]


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
