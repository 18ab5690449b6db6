"""Hydra's side of the door: arguments -> one resolved configuration, or one line of error."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from aecore.choices import check_choices, split_override
from aecore.errors import UserError, nearest
from aecore.results import is_run, reserve
from aecore.roots import CONF, ROOT

if TYPE_CHECKING:
    from aecore.tasks.base import Request

# their values are paths, which Hydra's grammar would choke on
_PATHS = ("hydra.run.dir", "hydra.sweep.dir", "init_from", "dataset.root", "dataset.path")
_SPECIAL = set("=[]{}(),:' \"\\")


@dataclass(frozen=True)
class Arguments:
    """A command line: Hydra's flags and the overrides, ready for Hydra's grammar."""

    flags: list[str]
    overrides: list[str]
    multirun: bool
    informational: bool  # --cfg, --info and the like: Hydra answers them
    typed: list[str] = field(default_factory=list)

    @property
    def argv(self) -> list[str]:
        """As a command line again."""
        return [*self.flags, *(["--multirun"] if self.multirun else []), *self.overrides]


@dataclass(frozen=True)
class Job:
    """One composed configuration with what Hydra knows about it."""

    config: dict[str, Any]
    words: dict[str, Any]
    overrides: list[str]
    run_dir: str
    sweep_dir: str
    multirun: bool
    given: frozenset[str]

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
    args, strangers = parser.parse_known_args(argv)
    if strangers:
        raise UserError(
            f"{strangers[0]}: unknown flag\n  `python run.py --help` lists what there is"
        )
    flags = []
    if args.config_dir is not None:
        flags += ["--config-dir", str(Path(args.config_dir).absolute())]
    if args.config_name is not None:
        flags += ["--config-name", args.config_name]
    informational = bool(args.cfg or args.info or args.hydra_help or args.shell_completion)
    if informational:
        flags = [a for a in argv if a not in args.overrides]
    overrides = [_ready(o) for o in args.overrides]
    return Arguments(
        flags, [_searchpath(), *overrides], args.multirun, informational, args.overrides
    )


def _searchpath() -> str:
    """An override that lets Hydra find `sweeps/` from any working directory."""
    return f"hydra.searchpath=[{_quoted('file://' + str(ROOT))}]"


def _ready(override: str) -> str:
    """`evaluate.noise=NAME` as the group it is; quotes around paths that need them."""
    if "=" not in override:
        raise UserError(
            f"{override}: neither a flag nor key=value\n"
            "  write for example model=vae; `python run.py --help` lists the words"
        )
    key, value = split_override(override)
    if key == "evaluate.noise":
        return f"noise@evaluate.noise={value}"
    path = key in _PATHS or key.startswith("paths.")
    if path and _SPECIAL & set(value) and value[:1] not in ("'", '"'):
        return f"{key}={_quoted(value)}"
    return override


def _quoted(text: str) -> str:
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", text)
    return f"'{escaped}'"


def compose(arguments: Arguments) -> Job:
    """The configuration of a command line, every interpolation resolved; raises UserError."""
    known = groups(arguments)
    check_choices(arguments.overrides, known)
    plain = [o for o in arguments.overrides if not (arguments.multirun and _is_sweep(o))]
    try:
        config = _composed(arguments, plain)
        hydra = config.hydra
        run_dir, sweep_dir = str(hydra.run.dir), str(hydra.sweep.dir)
        words = {
            k: v
            for k, v in OmegaConf.to_container(hydra.runtime.choices).items()  # type: ignore[union-attr]
            if not str(k).startswith("hydra/")
        }
        multirun = arguments.multirun or str(hydra.mode) == "RunMode.MULTIRUN"
        with_hydra = OmegaConf.to_container(
            OmegaConf.masked_copy(config, [str(k) for k in config if k != "hydra"]), resolve=True
        )
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error, arguments, plain) from None
    assert isinstance(with_hydra, dict)
    for group in ("penalty", "figures"):  # Hydra leaves lists out of its choices
        words.setdefault(group, list(with_hydra[group]))
    return Job(
        config={
            str(k): v for k, v in with_hydra.items() if k not in ("experiment", "sweeps", "model")
        },
        words={str(k): v for k, v in words.items()},
        overrides=arguments.typed,
        run_dir=run_dir,
        sweep_dir=sweep_dir,
        multirun=multirun,
        given=frozenset(split_override(o)[0] for o in arguments.overrides),
    )


def _composed(arguments: Arguments, overrides: list[str]) -> DictConfig:
    flags = dict(zip(arguments.flags[::2], arguments.flags[1::2], strict=True))
    if "--config-dir" in flags:
        extra = _quoted("file://" + flags["--config-dir"])
        overrides = [
            o.replace("hydra.searchpath=[", f"hydra.searchpath=[{extra},") for o in overrides
        ]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra_compose(
            flags.get("--config-name", "config"), overrides=overrides, return_hydra_config=True
        )


def _is_sweep(override: str) -> bool:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return bool(OverridesParser.create().parse_override(override).is_sweep_override())


def groups(arguments: Arguments) -> dict[str, set[str]]:
    """Every group with its choices, from the folders of conf/, sweeps/ and `--config-dir`."""
    roots = [CONF]
    if "--config-dir" in arguments.flags:
        roots.append(Path(arguments.flags[arguments.flags.index("--config-dir") + 1]))
    found: dict[str, set[str]] = {}
    for root in roots:
        for file in root.rglob("*.yaml"):
            group = file.parent.relative_to(root).as_posix()
            if group != ".":
                found.setdefault(group, set()).add(file.stem)
    for name in ("sweeps", "experiment"):
        found.setdefault(name, set())
    found["sweeps"] |= {file.stem for file in (ROOT / "sweeps").glob("*.yaml")}
    return found


def with_sweep_folder(arguments: Arguments, job: Job) -> Arguments:
    """The arguments of a multirun, in a folder of its own, named after its study."""
    overrides = list(arguments.overrides)
    if "hydra.sweep.dir" not in job.given:
        study = job.words.get("sweeps")
        folder = Path(job.sweep_dir)
        if study is not None:
            folder = folder.parent.with_name(str(study)) / folder.name
        overrides.append(f"hydra.sweep.dir={_quoted(str(reserve(folder)))}")
    return replace(arguments, overrides=overrides, multirun=True)


def explain(error: Exception, arguments: Arguments, overrides: list[str]) -> UserError:
    """What Hydra or OmegaConf refused, as one line with the near words."""
    text = str(error)
    found = re.search(r"Could not override '([^']+)'", text) or re.search(
        r"Could not append to config\. .*'([^']+)'", text
    )
    if found:
        return _unknown_key(found.group(1), arguments, overrides)
    if isinstance(error, OverrideParseException):
        key, value = split_override(error.override)
        return UserError(
            f"{error.override}: cannot be read\n"
            f"  put quotes around a value with special characters: \"{key}='{value}'\""
        )
    if "Ambiguous value" in text:
        typed = next((o for o in overrides if f"'{o}'" in text), "")
        return UserError(f"{typed}: several values\n  add -m to run every combination of them")
    first = next((line for line in text.splitlines() if line.strip()), type(error).__name__)
    return UserError(first[:300])


def _unknown_key(key: str, arguments: Arguments, overrides: list[str]) -> UserError:
    kept = [o for o in overrides if split_override(o)[0].lstrip("+") != key]
    known: set[str] = set()
    parent, _, name = key.rpartition(".")
    try:
        config = _composed(arguments, kept)
        node = OmegaConf.select(config, parent) if parent else config
        while parent and not isinstance(node, DictConfig):
            parent, _, name = parent.rpartition(".")
            node = OmegaConf.select(config, parent) if parent else config
        if isinstance(node, DictConfig):
            known = {str(k) for k in node} - {"hydra", "_target_"}
            known |= set() if parent else {g for g in groups(arguments) if "/" not in g}
    except (HydraException, OmegaConfBaseException):
        pass  # a second mistake elsewhere: this one is named without its near words
    where = f"{parent} has no key" if parent else "no key"
    return UserError(
        f"{key}: {where} {name!r}{nearest(name, known)}\n  known here: {', '.join(sorted(known))}"
    )
