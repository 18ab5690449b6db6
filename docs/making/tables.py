"""Tables of words and keys, in Markdown, from what conf/ and the classes say now."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterable
from typing import get_args

import yaml

from aecore.config.folders import CONF, ours
from aecore.config.help import sentence
from aecore.model.networks.base import Activation
from docstrings import escaped, markdown
from words import Key, class_of, described, flat, keys, shown, targets, word

_USUAL = {"schedule": "constant", "warmup": "0"}  # not shown: the page of penalties says it once


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = [*head]
    return "\n".join([_row(*titles), _row(*["---"] * len(titles)), *(_row(*r) for r in rows)])


def _keys(found: Iterable[Key]) -> str:
    rows = []
    for key in found:
        name = key.path.rpartition(".")[2]
        if _USUAL.get(name) == key.default:
            continue
        meaning = escaped(key.meaning)
        if name == "weight" and not meaning:
            meaning = "see [Weights](#weights)"
        rows.append((f"`{key.path}={key.default}`", meaning, key.takes))
    return _table(("key and default", "meaning", "takes"), rows)


def keys_table(which: str) -> str:
    """`group/name`: its class, and a table of its keys; of several words in one, which."""
    group, _, name = which.rpartition("/")
    one = word(group, name)
    if len(one.starts) > 1:
        return f"It is `{group}=[{','.join(one.starts)}]`."
    classes = [str(node["_target_"]) for _, node in targets(one)]
    said = "".join(f"Class [`{c.rpartition('.')[2]}`][{c}]." for c in classes)
    found = keys(group, name)
    return f"{said}\n\n{_keys(found)}" if found else f"{said} It has no keys.".strip()


def description(which: str) -> str:
    """`group/name`: what the docstring of its class says beside its keys."""
    group, _, name = which.rpartition("/")
    return "\n\n".join(
        markdown(described(class_of(node))) for _, node in targets(word(group, name))
    )


def activations(_: str) -> str:
    """The names of all activations."""
    return ", ".join(f"`{name}`" for name in get_args(Activation))


def api(which: str) -> str:
    """`package Name Other`: every public class of a package, these first."""
    package, *first = which.split()
    root = importlib.import_module(package)
    modules = [
        root.__name__,
        *(m.name for m in pkgutil.walk_packages(root.__path__, f"{package}.")),
    ]
    places = {
        name: f"{module}.{name}"
        for module in modules
        for name, value in vars(importlib.import_module(module)).items()
        if inspect.isclass(value) and value.__module__ == module and not name.startswith("_")
    }
    rest = sorted(name for name in places if name not in first)
    return "\n\n".join(f"::: {places[name]}" for name in (*first, *rest))


def choices_table(group: str) -> str:
    """Every choice of a group with its sentence."""
    typed = "evaluate.metrics=[{}]" if group == "evaluate/metrics" else f"{group}={{}}"
    rows = (
        (f"`{typed.format(name)}`", escaped(sentence(file))) for name, file in ours(group).items()
    )
    return _table(("word", ""), rows)


def variants_table(group: str) -> str:
    """The choices of a group that start from another one, and what they change."""
    rows = []
    for name in ours(group):
        one = word(group, name)
        if one.parent is not None:
            changed = " ".join(f"`{k}={shown(v)}`" for k, v in flat(one.own))
            rows.append((f"`{group}={name}`", escaped(one.sentence), f"`{one.parent}`, {changed}"))
    return _table(("word", "", "is"), rows)


def presets_table(_: str) -> str:
    """Every preset with its sentence and the words that it chooses."""
    rows = []
    for name, file in ours("model").items():
        node = yaml.safe_load(file.read_text())
        words = [(k.partition("/")[2], v) for one in node.pop("defaults") for k, v in one.items()]
        said = " ".join(f"{k}={shown(v)}" for k, v in [*words, *flat(node)])
        rows.append((f"`model={name}`", escaped(sentence(file)), f"`{said}`"))
    return _table(("word", "", "is"), rows)


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
