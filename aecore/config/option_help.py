"""`GROUP=OPTION --help`: the keys of an option, what its class says, and a command to try."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from aecore.config.arguments import asked_of
from aecore.config.folders import builtin_options, command, flags, groups, known, user_folders
from aecore.config.groups import SETS, check_choices, names_in, options_by_group
from aecore.config.help import WIDTH, first_comment, group_help, help_text, wrapped
from aecore.config.overrides import read
from aecore.config.tree import leaves, targets
from aecore.errors import UserError, option

_COMMENT = re.compile(r"^ *(\w+):[^#\n]* # (.+)$", re.MULTILINE)
_PACKAGE = Path(__file__).resolve().parents[1]
_CHOOSE = ("experiment", "model", "sweeps")  # groups whose options choose those of others


def help_of(argv: list[str]) -> str:
    """What `--help` shows beside other arguments: all groups, those named, or options of them.

    Raises UserError for arguments that are neither.
    """
    texts = []
    for argument in asked_of(argv):
        if argument in groups():
            texts.append(group_help(argument))
            continue
        for override in read([argument]) if "=" in argument else ():
            if override.group is None:
                break
            check_choices([override], options_by_group(user_folders()))
            texts += [option_help(override.group, name) for name in names_in(override.value)]
        else:
            if "=" in argument:
                continue
        raise UserError(
            f"{argument}: --help describes groups and their options",
            f"for example {command()} latent --help, or latent=vq --help",
        )
    return "\n\n".join(texts) if texts else help_text()


def option_help(group: str, name: str) -> str:
    """Everything about one option that exists; imports none of its classes."""
    file = known(group)[name]
    node, comments = _content(group, name)
    lines = wrapped(f"{option(group, name)}: {first_comment(file)}", 2)
    if chosen := _choices(file):
        lines += ["", *wrapped(f"chooses {' '.join(chosen)}", 2)]
    rows = _rows(group, node, comments)
    lines += ["", *_aligned(rows)] if rows else []
    for _, target in targets(node):
        lines += ["", *_docstring(target)]
    own = [] if name in builtin_options(group) else [shlex.join(flags())]
    example = " ".join(["example:", command(), *own, _example(group, name, rows)])
    return "\n".join([*lines, "", " \\\n".join(wrapped(example, 4))])


def _content(group: str, name: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The nodes of an option, with those that it starts from, and the comments beside its keys."""
    text = known(group)[name].read_text("utf-8")
    content = yaml.safe_load(text) or {}
    node: Any = {}
    comments: dict[str, str] = {}
    for base in content.pop("defaults", []):
        if isinstance(base, str) and base in known(group):
            base_node, base_comments = _content(group, base)
            node, comments = OmegaConf.merge(node, base_node), comments | base_comments
    merged: Any = OmegaConf.to_container(OmegaConf.merge(node, content))
    return merged, comments | dict(_COMMENT.findall(text))


@cache
def _choices(file: Path) -> tuple[str, ...]:
    """The options of other groups in a defaults list, as they are typed."""
    chosen = []
    for entry in (yaml.safe_load(file.read_text("utf-8")) or {}).get("defaults", []):
        for key, value in entry.items() if isinstance(entry, dict) else ():
            group = key.removeprefix("override ").strip("/").partition("@")[0]
            chosen.append(option(group, value))
    return tuple(chosen)


def _rows(
    group: str, node: Mapping[str, Any], comments: Mapping[str, str]
) -> list[tuple[str, str]]:
    """The keys of an option as they are typed, with their defaults and comments."""
    place = f"{group.partition('/')[0]}."
    if group in ("evaluate/metrics", "hydra/sweeper"):
        place = f"{group.replace('/', '.')}."
    elif "task" in node or group in _CHOOSE:
        place = ""
    return [
        (option(f"{place}{path}", value), comments.get(path.rpartition(".")[2], ""))
        for path, value in leaves(node)
        if path != "task" and not path.endswith("_target_")
    ]


def _aligned(rows: list[tuple[str, str]]) -> list[str]:
    width = min(max((len(text) for text, _ in rows), default=0), 36)
    lines: list[str] = []
    for text, comment in rows:
        lines += wrapped(f"  {text:<{width}}  {comment}".rstrip(), width + 4)
    return lines


def _docstring(target: str) -> list[str]:
    """The docstring of a class, read from its file; empty where that is not found."""
    module, _, name = target.rpartition(".")
    inside = Path(*module.split(".")).with_suffix(".py")
    places = [_PACKAGE.parent / inside, *(folder / inside for folder in user_folders())]
    for file in (place for place in places if place.is_file()):
        for part in ast.parse(file.read_text("utf-8")).body:
            if isinstance(part, ast.ClassDef) and part.name == name:
                return _reflowed(inspect.cleandoc(ast.get_docstring(part) or ""))
    return []


def _reflowed(text: str) -> list[str]:
    """The lines of a docstring; paragraphs and entries `name: text` are wrapped where too long."""
    lines: list[str] = []
    for paragraph in text.split("\n\n"):
        lines.append("")
        for block in re.split(r"\n(?=[a-z_, ]+: |- |Raises )", paragraph):
            parts = block.splitlines()
            if max(map(len, parts), default=0) > WIDTH:
                first, indent = parts[0], len(parts[1]) - len(parts[1].lstrip()) if parts[1:] else 0
                start = " " * (len(first) - len(first.lstrip()))
                parts = wrapped(start + " ".join(block.split()), indent)
            lines += parts
    return lines[1:]


def _example(group: str, name: str, rows: list[tuple[str, str]]) -> str:
    """A command with this option, or a preset that chooses it, and with one of its keys.

    A comment `# example: ...` in its file says which, where not every model takes the option.
    """
    chosen, file = option(group, name), known(group)[name]
    if given := re.search(r"^# example: (.+)$", file.read_text("utf-8"), re.MULTILINE):
        return given[1]
    keys = (text for text, _ in rows if not text.endswith(("=null", "={}")))
    key = next((f" {shlex.quote(text)}" for text in keys), "")
    if group == "task":
        return f"{'run=last ' if 'run=' in first_comment(file) else ''}{chosen}{key}"
    if group in _CHOOSE:
        return f"{'-m ' if group == 'sweeps' else ''}{chosen}"
    presets = {
        preset: choices
        for preset, file in known("model").items()
        if chosen in (choices := _choices(file))
    }
    if presets:
        return f"model={min(presets, key=lambda preset: len(presets[preset]))}{key}"
    return f"'{group}=[{name}]'{key}" if group in SETS else f"{chosen}{key}"
