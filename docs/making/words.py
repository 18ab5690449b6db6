"""What conf/ and the classes say of a word: its sentence, keys, defaults, types and meanings."""

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

from aecore.config.folders import CONF, ours
from aecore.config.help import sentence
from aecore.config.schema import EarlyStopping, Trainer
from aecore.data.module import ImageData
from aecore.model.penalties.weight import Weight
from aecore.tasks.run import class_of_task
from entries import ENTRY, entries
from takes import taken

_COMMENT = re.compile(r"^ *(\w+):[^#\n]* # (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Key:
    """A key of a word: `path` as it is typed, its default, what it takes and what it means."""

    path: str
    default: str
    takes: str
    meaning: str


@dataclass(frozen=True)
class Word:
    """A choice of a group, with what its file says and what it inherits.

    node: the keys, merged with those of the choices that it starts from.
    own: the keys that its own file sets. starts: the choices that it starts from.
    """

    group: str
    name: str
    sentence: str
    node: dict[str, Any]
    own: dict[str, Any]
    starts: list[str]

    @property
    def parent(self) -> str | None:
        """The choice that it is a variant of; None where there is none, or several."""
        return self.starts[0] if len(self.starts) == 1 else None


@cache
def word(group: str, name: str) -> Word:
    """A choice as its file has it; raises KeyError where there is none."""
    file = ours(group)[name]
    own = yaml.safe_load(file.read_text()) or {}
    starts = [d for d in own.pop("defaults", []) if isinstance(d, str) and d != "_self_"]
    node: dict[str, Any] = {}
    for start in starts:
        node = _merged(node, word(group, start).node)
    return Word(group, name, sentence(file), _merged(node, own), own, starts)


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(first)
    for key, value in second.items():
        old = both.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            value = _merged(old, value)
        both[key] = value
    return both


def targets(one: Word) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where the nodes with a class stand below the group, '' for the word itself, and the nodes."""
    if one.group == "task":
        task = class_of_task(one.name)
        target = f"{task.__module__}.{task.__name__}"
        options = one.node.get(one.name, {})
        yield "", {"_target_": target, **options}
    if "_target_" in one.node:
        yield "", one.node
    for key, node in one.node.items():
        if isinstance(node, dict) and "_target_" in node:
            yield f"{key}.", node


def class_of(node: Mapping[str, Any]) -> type:
    """The class that a node names."""
    module, _, name = str(node["_target_"]).rpartition(".")
    found: type = getattr(importlib.import_module(module), name)
    return found


def keys(group: str, name: str) -> list[Key]:
    """The keys of a word in the order of its file."""
    one = word(group, name)
    comments = _comments(one)
    if group == "trainer":
        return [*_plain("trainer.", one.node, Trainer, comments)]
    found = []
    for place, node in targets(one):
        typed = name if group == "task" else group.replace("/", ".")
        found += [*_keys(f"{typed}.{place}", node, class_of(node), comments)]
    return found


def _comments(one: Word) -> dict[str, str]:
    files = [ours(one.group)[one.name]]
    if one.parent is not None:
        files.insert(0, ours(one.group)[one.parent])
    if one.group == "dataset":
        files.insert(0, CONF / "config.yaml")
    return {k: text for file in files for k, text in _COMMENT.findall(file.read_text())}


def _keys(
    path: str, node: Mapping[str, Any], target: type, comments: Mapping[str, str]
) -> Iterator[Key]:
    own, shared = _hints(target), {**_hints(Weight), **_hints(ImageData)}
    told = entries(_text(target), own)
    for key in node:
        if key == "_target_":
            continue
        meaning = comments.get(key, "")
        if not meaning or meaning.startswith("or "):  # another choice, which stands beside it
            meaning = told.get(key, meaning)
        yield Key(f"{path}{key}", shown(node[key]), taken(own.get(key, shared.get(key))), meaning)


def _plain(
    path: str, node: Mapping[str, Any], model: type[BaseModel], comments: Mapping[str, str]
) -> Iterator[Key]:
    told = entries(inspect.getdoc(model) or "", list(model.model_fields))
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _plain(f"{path}{key}.", value, EarlyStopping, comments)
        else:
            hint = get_type_hints(model, include_extras=True)[key]
            meaning = comments.get(key) or told.get(key, "")
            yield Key(f"{path}{key}", shown(value), taken(hint), meaning)


@cache
def _hints(target: type) -> dict[str, Any]:
    return get_type_hints(inspect.getattr_static(target, "__init__"), include_extras=True)


def described(target: type) -> str:
    """The docstring of a class without the entries of its arguments."""
    known = set(_hints(target)) - {"return"}
    kept = []
    for paragraph in (inspect.getdoc(target) or "").split("\n\n"):
        lines = []
        for line in paragraph.splitlines():
            entry = ENTRY.match(line)
            if entry and known & set(entry[1].split(", ")):
                break
            lines.append(line)
        kept.append("\n".join(lines))
    return "\n\n".join(one for one in kept if one)


def _text(target: type) -> str:
    """The docstrings of a class and its constructor, which may say what the arguments are."""
    own = inspect.getdoc(target) or ""
    return f"{own}\n\n{inspect.getdoc(inspect.getattr_static(target, '__init__')) or ''}"


def flat(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested nodes with their keys, `kl.weight`."""
    for key, value in node.items():
        if isinstance(value, dict):
            yield from flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def shown(value: Any) -> str:
    """A value as it is typed on the command line."""
    if isinstance(value, list):
        return f"[{','.join(shown(v) for v in value)}]"
    return value if isinstance(value, str) else json.dumps(value)
