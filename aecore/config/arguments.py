"""The command line: Hydra's flags and the overrides, parsed."""

from __future__ import annotations

import os
import re
from argparse import ArgumentError, Namespace
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hydra._internal.utils import get_args_parser

from aecore.config.folders import HOME, command, expanded, groups
from aecore.config.overrides import Override, quoted, read
from aecore.errors import UserError

_NO_OVERRIDE = "neither a flag nor key=value"
_COMPLETES = re.compile("(install|uninstall|query)=")


@dataclass(frozen=True)
class Arguments:
    """A command line. config_dirs: the folders that `--config-dir` adds to conf/."""

    flags: tuple[str, ...]
    overrides: tuple[Override, ...]
    multirun: bool
    informational: bool  # --cfg, --info and similar flags, handled by Hydra
    config_dirs: tuple[Path, ...] = ()

    def last(self, key: str) -> Override | None:
        """The last override of a key, None if there is none."""
        return next((o for o in reversed(self.overrides) if o.key == key), None)

    def path(self, key: str) -> Path | None:
        """The path in the value of a key, None if there is none."""
        last = self.last(key)
        return None if last is None or last.value in (None, "") else Path(str(last.value))

    @property
    def typed(self) -> list[str]:
        """The overrides as they were typed."""
        return list(dict.fromkeys(o.typed for o in self.overrides))

    def lines_of(self, overrides: Iterable[Override]) -> list[str]:
        """Overrides in Hydra's grammar, with its search path."""
        places = ",".join(quoted(f"file://{place}") for place in (*self.config_dirs, HOME))
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
    alone = [text for text in args.overrides if "=" not in text and not text.startswith("~")]
    if unknown or alone:
        problem = f"{unknown[0]}: unknown flag" if unknown else f"{alone[0]}: {_NO_OVERRIDE}"
        raise UserError(problem, _meant(argv, [*unknown, *args.overrides]))
    _check_flags(args)
    flags = []
    folders = _config_dirs(args)
    for folder in folders:
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
    overrides = read(args.overrides)
    return Arguments(tuple(flags), overrides, args.multirun, informational, tuple(folders))


def _meant(argv: list[str], words: list[str]) -> str:
    """The command that was meant; words: the arguments that are no known flags, in any order."""
    from aecore.config.spelled import command_meant

    typed = [argument for argument in argv if argument in words]
    return command_meant(typed, [argument for argument in argv if argument not in words])


def named_folders(argv: list[str]) -> list[Path]:
    """The folder of `--config-dir`; raises UserError if it does not exist."""
    return _config_dirs(_flags(argv)[0])


def asked_of(argv: list[str]) -> list[str]:
    """What is typed beside the flags, parsed no further; raises UserError for unknown flags."""
    args, unknown = _flags([a for a in argv if a not in ("--help", "-h")])
    if unknown:
        raise UserError(f"{unknown[0]}: unknown flag", f"`{command()} --help` lists the flags")
    asked: list[str] = args.overrides
    return asked


def searched(places: Iterable[str]) -> list[Path]:
    """The user's folders in `hydra.searchpath`."""
    files = [Path(place.removeprefix("file://")) for place in places if place.startswith("file://")]
    return [folder for folder in files if folder != HOME]


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


def _config_dirs(args: Namespace) -> list[Path]:
    if args.config_dir is None:
        return []
    folder = expanded(args.config_dir).absolute()
    if not os.path.isdir(folder):  # false for a name that is too long, too
        raise UserError(f"--config-dir {args.config_dir}: no such folder")
    if not any((folder / group).is_dir() for group in (*groups(), "hydra")):
        raise UserError(
            f"--config-dir {args.config_dir}: no options there",
            f"they are in folders named after their groups: {args.config_dir}/penalty/NAME.yaml",
        )
    return [folder]
