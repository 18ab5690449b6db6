"""What conf/ and the classes say about an option: summary, keys, defaults, types and meanings."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_type_hints

import yaml
from pydantic import BaseModel

from aecore.config.folders import CONF, builtin_options
from aecore.config.help import first_comment
from aecore.config.schema import EarlyStopping, Trainer
from aecore.data.module import ImageData
from aecore.model.penalties.weight import Weight
from aecore.tasks.run import class_of_task
from docs.making.entries import ENTRY, entries
from docs.making.type_text import type_text

_COMMENT = re.compile(r"^ *(\w+):[^#\n]* # (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Key:
    """A key of an option: `path` as it is typed, its default, its type and its meaning."""

    path: str
    default: str
    type: str
    meaning: str


@dataclass(frozen=True)
class Option:
    """An option of a config group, with the content of its file and what it inherits.

    node: the keys, merged with those of the options in its defaults list.
    changes: the keys that its own file sets. bases: the options in its defaults list.
    """

    group: str
    name: str
    summary: str
    node: dict[str, Any]
    changes: dict[str, Any]
    bases: list[str]

    @property
    def parent(self) -> str | None:
        """The option that it is a variant of; None where there is none, or several."""
        return self.bases[0] if len(self.bases) == 1 else None


@cache
def load_option(group: str, name: str) -> Option:
    """An option as its file defines it; raises KeyError where there is none."""
    file = builtin_options(group)[name]
    changes = yaml.safe_load(file.read_text()) or {}
    bases = [d for d in changes.pop("defaults", []) if isinstance(d, str) and d != "_self_"]
    node: dict[str, Any] = {}
    for base in bases:
        node = _merged(node, load_option(group, base).node)
    return Option(group, name, first_comment(file), _merged(node, changes), changes, bases)


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(first)
    for key, value in second.items():
        old = both.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            value = _merged(old, value)
        both[key] = value
    return both


def targets(option: Option) -> Iterator[tuple[str, dict[str, Any]]]:
    """The nodes that name a class, with their place below the group ('' for the option itself)."""
    if option.group == "task":
        task = class_of_task(option.name)
        target = f"{task.__module__}.{task.__name__}"
        yield "", {"_target_": target, **option.node.get(option.name, {})}
    if "_target_" in option.node:
        yield "", option.node
    for key, node in option.node.items():
        if isinstance(node, dict) and "_target_" in node:
            yield f"{key}.", node


def class_of(node: Mapping[str, Any]) -> type:
    """The class that a node names."""
    module, _, name = str(node["_target_"]).rpartition(".")
    cls: type = getattr(importlib.import_module(module), name)
    return cls


def keys(group: str, name: str) -> list[Key]:
    """The keys of an option in the order of its file."""
    option = load_option(group, name)
    comments = _comments(option)
    if group == "trainer":
        return [*_model_keys("trainer.", option.node, Trainer, comments)]
    rows: list[Key] = []
    for place, node in targets(option):
        typed = name if group == "task" else group.replace("/", ".")
        rows += _keys(f"{typed}.{place}", node, class_of(node), comments)
    return rows


def _comments(option: Option) -> dict[str, str]:
    files = [builtin_options(option.group)[option.name]]
    if option.parent is not None:
        files.insert(0, builtin_options(option.group)[option.parent])
    if option.group == "dataset":
        files.insert(0, CONF / "config.yaml")
    return {k: text for file in files for k, text in _COMMENT.findall(file.read_text())}


def _keys(
    path: str, node: Mapping[str, Any], target: type, comments: Mapping[str, str]
) -> Iterator[Key]:
    hints, shared = _hints(target), {**_hints(Weight), **_hints(ImageData)}
    documented = entries(_text(target), hints)
    for key in node:
        if key == "_target_":
            continue
        meaning = comments.get(key, "")
        if not meaning or meaning.startswith("or "):  # another choice, which stands beside it
            meaning = documented.get(key, meaning)
        hint = hints.get(key, shared.get(key))
        yield Key(f"{path}{key}", formatted(node[key]), type_text(hint), meaning)


def _model_keys(
    path: str, node: Mapping[str, Any], model: type[BaseModel], comments: Mapping[str, str]
) -> Iterator[Key]:
    documented = entries(inspect.getdoc(model) or "", list(model.model_fields))
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _model_keys(f"{path}{key}.", value, EarlyStopping, comments)
        else:
            hint = get_type_hints(model, include_extras=True)[key]
            meaning = comments.get(key) or documented.get(key, "")
            yield Key(f"{path}{key}", formatted(value), type_text(hint), meaning)


@cache
def _hints(target: type) -> dict[str, Any]:
    return get_type_hints(inspect.getattr_static(target, "__init__"), include_extras=True)


def description(target: type) -> str:
    """The docstring of a class without the entries of its arguments."""
    arguments = set(_hints(target)) - {"return"}
    paragraphs = []
    for paragraph in (inspect.getdoc(target) or "").split("\n\n"):
        lines = []
        for line in paragraph.splitlines():
            entry = ENTRY.match(line)
            if entry and arguments & set(entry[1].split(", ")):
                break
            lines.append(line)
        paragraphs.append("\n".join(lines))
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def _text(target: type) -> str:
    """The docstrings of a class and its constructor, either of which may document arguments."""
    text = inspect.getdoc(target) or ""
    return f"{text}\n\n{inspect.getdoc(inspect.getattr_static(target, '__init__')) or ''}"


def flat(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested nodes with their keys, `kl.weight`."""
    for key, value in node.items():
        if isinstance(value, dict):
            yield from flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def formatted(value: Any) -> str:
    """A value as it is typed on the command line."""
    if isinstance(value, list):
        return f"[{','.join(formatted(v) for v in value)}]"
    return value if isinstance(value, str) else json.dumps(value)
