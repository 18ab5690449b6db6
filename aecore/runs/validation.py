"""What a recorded configuration may hold and name: components of this package and the user's own.

A run folder may come from anywhere. Its configuration is read as plain YAML: nothing in it is
interpolated, and a `_target_` is looked up only where a YAML file of this package or of the user
names it too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from aecore.config.folders import (
    expanded,
    groups,
    make_importable,
    set_user_folders,
    user_folders,
    user_options,
)
from aecore.config.targets import known_targets
from aecore.config.terminal import in_one_line
from aecore.config.tree import targets
from aecore.errors import UserError, short

T = TypeVar("T")
_LONGEST, _LONGEST_JSON = 2**20, 2**26  # bytes of a configuration, and of a file of numbers
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster where libyaml is there
_MOST, _DEEPEST, _GREATEST = 20_000, 30, 2**63  # values in one, one in the other, of integers


def read_plain(path: Path) -> Any:
    """What a YAML file holds; UserError where that is not plain, or there is no such file.

    Merged mappings are refused: a few lines of them can stand for more than any memory holds.
    Aliases cost nothing here, and `check_plain` counts what they stand for.
    """
    try:
        text = _content(path, _LONGEST).decode()
        depth = 0
        for event in yaml.parse(text, _Loader):  # libyaml crashes on what is nested too deep
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise ValueError("nested too deep")
        return yaml.load(text, _Plain)
    except Exception as error:  # YAML raises many kinds on what is damaged
        reason = printable(" ".join(str(error).split()))
        raise UserError(f"{path}: damaged configuration ({reason})") from error


def read_json(path: Path, kind: TypeAdapter[T]) -> T:
    """What a JSON file holds, of that kind; UserError for anything else, or where it is missing."""
    try:
        return kind.validate_json(_content(path, _LONGEST_JSON), strict=True)
    except ValidationError as error:
        raise damaged(path, error) from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: missing or damaged ({printable(error)})") from error


def damaged(path: Path, error: ValidationError) -> UserError:
    """What a model says of the content of a file, in one line."""
    return UserError(f"{path}: damaged ({first_of(error)})")


def first_of(error: ValidationError) -> str:
    """The first of pydantic's errors, where and what, as it may stand in a line."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    return printable(f"{place}: {message}" if place else message)


def _content(path: Path, longest: int) -> bytes:
    if not path.is_file():  # opening a pipe would wait for ever
        raise FileNotFoundError("no such file")
    with path.open("rb") as file:
        content = file.read(longest + 1)
    if len(content) > longest:
        raise ValueError("too long")
    return content


class _Plain(_Loader):  # type: ignore[misc, valid-type]
    """Plain YAML without merged mappings."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise yaml.YAMLError("it merges mappings")


def check_plain(config: Any, where: Path) -> None:
    """Raise UserError for what is no mapping of plain values, as a configuration is.

    Checkpoints can hold other things too, and mappings within themselves.
    """
    if not isinstance(config, dict):
        raise UserError(f"{where}: damaged configuration (no mapping)")
    count = 0
    todo: list[tuple[Any, int]] = [(config, 0)]
    while todo:
        value, depth = todo.pop()
        count += 1
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            todo.extend((one, depth + 1) for one in value.values())
        elif isinstance(value, list):
            todo.extend((one, depth + 1) for one in value)
        elif type(value) is int and abs(value) < _GREATEST:
            continue
        elif not (value is None or type(value) in (str, float, bool)):
            raise UserError(f"{where}: damaged configuration (it holds a {type(value).__name__})")
        if count > _MOST or depth > _DEEPEST:
            raise UserError(f"{where}: damaged configuration (it is too large)")


def check_targets(config: Mapping[str, Any], where: Path) -> None:
    """Raise UserError for a `_target_` that is no component of this package or of the user.

    Those of this package are what its YAML files name; the user's own are what the YAML files below
    --config-dir name. Nothing is imported.
    where: the file that the configuration was read from.
    """
    for key, name in targets(config):
        if isinstance(name, str) and (name in known_targets() or name in own_targets()):
            continue
        raise UserError(
            f"{where}: {key}={printable(name)}: no component of aecore, so it was not looked up",
            "if it is your own, name the folder of its YAML: --config-dir FOLDER",
        )


@contextmanager
def trusting(config_dir: str | Path | None) -> Iterator[None]:
    """For a while, take what YAML files below that folder name for the user's own too.

    Raises UserError where there is no such folder.
    """
    before = user_folders()
    if config_dir is not None:
        if not (isinstance(config_dir, str | os.PathLike) and os.path.isdir(expanded(config_dir))):
            raise UserError(f"config_dir={short(config_dir)}: no such folder")
        folder = expanded(config_dir)
        set_user_folders([*before, folder])
        make_importable()
    try:
        yield
    finally:
        set_user_folders(before)


def printable(foreign: Any) -> str:
    """A foreign text as it may stand in a line on a terminal, shortened."""
    return in_one_line(str(foreign)[:200])


def inside(error: UserError, where: Path) -> UserError:
    """An error about a foreign configuration, that names the file or the run."""
    hint = None if error.advice is None else printable(error.advice)
    return UserError(f"{where}: {printable(error.summary)}", hint)


def own_targets() -> set[str]:
    """Every class that the YAML files in the user's own configuration folders name."""
    names: set[str] = set()
    for group in groups():  # and nothing else below: runs may lie there too
        for file in user_options(group, user_folders()).values():
            try:
                node = yaml.safe_load(file.read_text())
            except (OSError, UnicodeDecodeError, yaml.YAMLError):
                continue  # no option can be chosen by it either
            names.update(name for _, name in targets(node) if isinstance(name, str))
    return names
