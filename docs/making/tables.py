"""Tables of options and keys, in Markdown, from the current conf/ and classes."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterable
from typing import get_args

import yaml

from aecore.config.folders import CONF, builtin_options
from aecore.config.help import first_comment
from aecore.model.networks.base import Activation
from components import Key, class_of, description, flat, formatted, keys, load_option, targets
from docstrings import escaped, markdown

_USUAL = {"schedule": "constant", "warmup": "0"}  # left out: documented once, under Weights


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = [*head]
    return "\n".join([_row(*titles), _row(*["---"] * len(titles)), *(_row(*r) for r in rows)])


def _keys(keys: Iterable[Key]) -> str:
    rows = []
    for key in keys:
        name = key.path.rpartition(".")[2]
        if _USUAL.get(name) == key.default:
            continue
        meaning = escaped(key.meaning)
        if name == "weight" and not meaning:
            meaning = "see [Weights](#weights)"
        rows.append((f"`{key.path}={key.default}`", meaning, key.type))
    return _table(("key and default", "meaning", "type"), rows)


def keys_table(which: str) -> str:
    """`group/name`: its class and a table of its keys; for a list of options, the list."""
    group, _, name = which.rpartition("/")
    option = load_option(group, name)
    if len(option.bases) > 1:
        return f"Short for `{group}=[{','.join(option.bases)}]`."
    classes = [str(node["_target_"]) for _, node in targets(option)]
    text = "".join(f"Class [`{c.rpartition('.')[2]}`][{c}]." for c in classes)
    rows = keys(group, name)
    return f"{text}\n\n{_keys(rows)}" if rows else f"{text} No keys.".strip()


def class_text(which: str) -> str:
    """`group/name`: the docstring of its class without the entries of its keys."""
    group, _, name = which.rpartition("/")
    nodes = targets(load_option(group, name))
    return "\n\n".join(markdown(description(class_of(node))) for _, node in nodes)


def activations(_: str) -> str:
    """The names of all activations."""
    return ", ".join(f"`{name}`" for name in get_args(Activation))


def api(which: str) -> str:
    """`package module`: every public class of a package, those of this module first."""
    package, _, first = which.partition(" ")
    root = importlib.import_module(package)
    modules = [m.name for m in pkgutil.walk_packages(root.__path__, f"{package}.")]
    modules.sort(key=lambda module: module != f"{package}.{first or 'base'}")
    leading = _public_classes(modules[0])
    others = [place for module in modules[1:] for place in _public_classes(module)]
    others.sort(key=lambda place: place.rpartition(".")[2])
    return "\n\n".join(f"::: {place}" for place in (*leading, *others))


def _public_classes(module: str) -> list[str]:
    """The places of the public classes that a module defines, in the order of its text."""
    return [
        f"{module}.{name}"
        for name, value in vars(importlib.import_module(module)).items()
        if inspect.isclass(value) and value.__module__ == module and not name.startswith("_")
    ]


def choices_table(group: str) -> str:
    """Every option of a group with its summary."""
    typed = "evaluate.metrics=[{}]" if group == "evaluate/metrics" else f"{group}={{}}"
    rows = (
        (f"`{typed.format(name)}`", escaped(first_comment(file)))
        for name, file in builtin_options(group).items()
    )
    return _table(("option", ""), rows)


def variants_table(group: str) -> str:
    """The options of a group that start from another one, and what they change."""
    rows = []
    for name in builtin_options(group):
        option = load_option(group, name)
        if option.parent is not None:
            changes = " ".join(f"`{k}={formatted(v)}`" for k, v in flat(option.changes))
            text = f"`{option.parent}`, {changes}"
            rows.append((f"`{group}={name}`", escaped(option.summary), text))
    return _table(("option", "", "same as"), rows)


def presets_table(_: str) -> str:
    """Every preset with its summary and the options that it selects."""
    rows = []
    for name, file in builtin_options("model").items():
        node = yaml.safe_load(file.read_text())
        chosen = [(k.partition("/")[2], v) for one in node.pop("defaults") for k, v in one.items()]
        text = " ".join(f"{k}={formatted(v)}" for k, v in [*chosen, *flat(node)])
        rows.append((f"`model={name}`", escaped(first_comment(file)), f"`{text}`"))
    return _table(("preset", "", "same as"), rows)


def settings_table(part: str) -> str:
    """The keys of a part of conf/config.yaml, or of its top for an empty part."""
    lines = (CONF / "config.yaml").read_text().splitlines()
    indent = "  " if part else ""
    start = lines.index(f"{part}:") + 1 if part else 0
    rows = []
    for line in lines[start:]:
        if part and line and not line.startswith(" "):
            break
        match = re.match(rf"{indent}(\w+): +([^#]*[^# ])(?: +# (.*))?$", line)
        if match:
            key = f"{part}.{match[1]}" if part else match[1]
            rows.append((f"`{key}={match[2].replace(', ', ',')}`", escaped(match[3] or "")))
    return _table(("key and default", "meaning"), rows)
