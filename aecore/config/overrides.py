"""Overrides in Hydra's grammar: parsed, quoted, and written from plain values."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep
from hydra.core.override_parser.types import Override as HydraOverride
from hydra.errors import HydraException

from aecore.config.folders import command, groups, known
from aecore.errors import ConfigError, UserError, short, shown

OOD = "evaluate.ood"  # other data sets, by their names
SUBDIR = "hydra.sweep.subdir"  # the folder of a job below that of its sweep
WHERE = "list.where"  # what the runs of task=list have in common
SWEEPER = "hydra.sweeper"  # the settings of a search
OPTIONS = "optimizer.options"  # of any optimizer of torch
_OPEN = (  # mappings that take any key
    "hydra.job.env_set", "hydra.launcher.additional_parameters", "hydra.launcher.ray",
    "hydra.sweeper.params", OPTIONS, WHERE,
)  # fmt: skip
_PATHS = re.compile(  # keys of paths and file names, whose values need no quotes as they are typed
    r"resume|init_from|runs?|out|paths\.(data_dir|output_dir)|hydra\.(run\.dir|sweep\.(dir|subdir))"
    r"|(dataset|evaluate\.ood\.[^.]+)\.(root|path|cache_dir)|interpolate\.images|traverse\.image"
)
_PLAIN = re.compile(r"[\w.+/-]*", re.ASCII)  # a value that needs no quotes in Hydra's grammar
_SEVERAL = re.compile(r"\s+(?=[\w./@]+=)")  # between overrides in one argument
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


def read(overrides: Iterable[str]) -> tuple[Override, ...]:
    """Overrides as they are typed or recorded; raises UserError."""
    return tuple(override for text in overrides for override in _read(text))


def quoted(text: str) -> str:
    """A text in quotes, for Hydra's grammar."""
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", text)
    return f"'{escaped}'"


def as_override(key: str, value: Any) -> str:
    """An override that sets a key to a plain value, which is taken literally; quoted if need be.

    Raises ConfigError for other values, such as arrays.
    """
    if not isinstance(value, bool | int | float | str | list | dict | None):
        raise ConfigError(key, short(value), "must be a number, text, a list or a mapping")
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
    is_open = any(f"{key}.".startswith(f"{node}.") for node in _OPEN)
    if (is_open or key.startswith("hydra.")) and sign != "~":  # else Hydra's keys are known
        sign = "++" if is_open else ""
    return Override(key, place if chooses else None, package, sign, text, typed, parsed)


def _parsed(line: str, typed: str) -> HydraOverride:
    try:
        return OverridesParser.create().parse_override(line)
    except (HydraException, ValueError, RecursionError) as error:  # of 5,000 digits or brackets
        quotes = "='".join(typed.split("=", 1))
        hint = f'put quotes around a value with special characters: "{quotes}\'"'
        if len(parts := _SEVERAL.split(typed)) > 1:
            hint = f"write several arguments: {' '.join(parts)}"
        raise UserError(f"{typed}: cannot be read", hint) from error


def _aliased(key: str, value: str, typed: str) -> Iterator[tuple[str, str]]:
    """Aliases of overrides: short forms of config groups."""
    match key:
        case "evaluate.noise" | "evaluate/noise":
            yield "noise@evaluate.noise", value
        case "evaluate.metrics":
            yield "evaluate/metrics", value
        case "figures" if value == "all":
            yield key, f"[{','.join(_figures())}]"
        case "evaluate.ood":
            for name in _data_sets(value, typed):
                yield f"+dataset@{OOD}.{name}", name
        case _:
            yield key, _as_text(key, value)


def _figures() -> Iterator[str]:
    """Every figure, without options that choose or change others."""
    for name, file in known("figures").items():
        if "defaults:" not in (text := file.read_text("utf-8")) and "_target_" in text:
            yield name


def _data_sets(value: str, typed: str) -> list[str]:
    """The names in `evaluate.ood=[A,B]`, each once."""
    chosen = _parsed(f"{OOD}={value}", typed).value()
    listed = chosen.list if isinstance(chosen, ChoiceSweep) else chosen
    names = [str(name) for name in (listed if isinstance(listed, list) else [listed]) if name]
    if not names or isinstance(chosen, ChoiceSweep):
        hint = f"write {OOD}=[{','.join(names or ['kmnist'])}]"
        raise UserError(f"{typed}: must be data sets", hint)
    return list(dict.fromkeys(names))


def _as_text(key: str, value: str) -> str:
    """The value, in quotes if it is a path with special characters."""
    if _PLAIN.fullmatch(value) or _QUOTED.search(value) or not _PATHS.fullmatch(key):
        return value
    value = os.path.expanduser(value)
    if not (value.startswith("[") and value.endswith("]")):
        return quoted(value)
    names = [name.strip() for name in value[1:-1].split(",")]
    return f"[{','.join(n if _PLAIN.fullmatch(n) else quoted(n) for n in names)}]"
