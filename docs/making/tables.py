"""Tables of options and keys, in Markdown, from the current conf/ and classes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import get_args

from aecore.config.folders import CONF
from aecore.model.networks.base import Activation
from docs.making.components import Key, class_of, description, keys, load_option, targets
from docs.making.docstrings import escaped, markdown

_USUAL = {
    "schedule": "constant",
    "warmup": "0",
    "start": "0",
}  # left out: documented once, under Weights


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
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
            meaning = "see [Weights](ROOT/docs/components/penalty.md#weights)"
        rows.append((f"`{key.path}={key.default}`", meaning, key.type))
    return table(("key and default", "meaning", "type"), rows)


def keys_table(which: str) -> str:
    """`group/name`: its class and a table of its keys; for a list of options, the list."""
    group, _, name = which.rpartition("/")
    option = load_option(group, name)
    if len(option.bases) > 1:
        return f"Short for `{group}=[{','.join(option.bases)}]`."
    classes = [class_of(node) for _, node in targets(option)]
    text = " ".join(f"Class {source_link(target)}." for target in classes)
    rows = keys(group, name)
    return f"{text}\n\n{_keys(rows)}".strip() if rows else f"{text} No keys.".strip()


def source_link(target: type) -> str:
    """The name of a class with a link to its file, which the site turns into its reference."""
    return f"[`{target.__name__}`](ROOT/{target.__module__.replace('.', '/')}.py)"


def class_text(which: str) -> str:
    """`group/name`: the docstring of its class without the entries of its keys."""
    group, _, name = which.rpartition("/")
    nodes = targets(load_option(group, name))
    return "\n\n".join(markdown(description(class_of(node))) for _, node in nodes)


def activations(_: str) -> str:
    """The names of all activations."""
    return ", ".join(f"`{name}`" for name in get_args(Activation))


def settings_table(part: str) -> str:
    """The keys of a part of conf/config.yaml, or of its top for an empty part."""
    lines = (CONF / "config.yaml").read_text().splitlines()
    indent = "  " if part else ""
    start = lines.index(f"{part}:") + 1 if part else 0
    rows: list[list[str]] = []
    inside = False  # a comment of several lines
    for line in lines[start:]:
        if part and line and not line.startswith(" "):
            break
        match = re.match(rf"{indent}(\w+): +([^#]*[^# ])(?: +# (.*))?$", line)
        if match:
            key = f"{part}.{match[1]}" if part else match[1]
            rows.append([f"`{key}={match[2].replace(', ', ',')}`", escaped(match[3] or "")])
        elif inside and (more := re.match(r" +# (.+)$", line)):
            rows[-1][1] += f" {escaped(more[1])}"
        inside = bool(match) or (inside and line.startswith(" ") and line.strip().startswith("#"))
    return table(("key and default", "meaning"), rows)
