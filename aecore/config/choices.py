"""Checks on overrides before Hydra sees them: does the word exist, is the key one of ours?"""

from __future__ import annotations

import re

import yaml

from aecore.config.folders import command, ours
from aecore.errors import UserError, nearest

_PLAIN = re.compile(r"^[\w\[\],\s'\".-]*$")  # one word, a list, or a sweep over words
# what no choice of a group of Hydra's own is called
_NO_WORD = re.compile(r"^(\[\[.*|\{.*|\[?\s*(null|true|false|-?[\d.]+)?\s*\]?)$")


OTHER_DATA = "+dataset@evaluate.ood."  # a data set under its name, beside the run's own


def split_override(override: str) -> tuple[str, str]:
    """`key=value` at the first `=`."""
    key, _, value = override.partition("=")
    return key, value


def check_choices(overrides: list[str], groups: dict[str, set[str]]) -> None:
    """Raise UserError for an unknown choice of a group, or a list where one word is wanted."""
    for override in overrides:
        key, value = split_override(override)
        other = key.startswith(OTHER_DATA)
        if key.startswith("+") and not other and not key.lstrip("+").startswith("hydra"):
            name = key.lstrip("+")
            if name in groups:
                raise UserError(f"{override}: '+' is never needed here\n  write {name}={value}")
            raise UserError(
                f"{override}: unknown key{nearest(name, groups)}\n"
                f"  keys cannot be added; `{command()} --help` lists the words"
            )
        group, _, place = key.lstrip("~+").partition("@")
        if key.startswith("hydra/") and value != "[]" and _NO_WORD.match(value):
            raise UserError(f"{override}: must be one word\n  `{command()} --help` lists the words")
        if group not in groups or not _PLAIN.match(value):
            continue
        names = re.findall(r"[\w.-]+", value) or [""]
        for name in names:
            if name not in groups[group]:
                near = nearest("none" if name == "null" else name, groups[group])
                listed = ", ".join(sorted(groups[group])) or "none yet"
                where = "evaluate.ood" if other else place or group
                raise UserError(f"{where}={name}: no such {group}{near}\n  known: {listed}")
        if value.lstrip().startswith("[") and len(names) > 1:
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise UserError(f"{override}: {twice} stands there twice\n  once is enough")
            _check_list(group, names, override)


def _check_list(group: str, names: list[str], override: str) -> None:
    """A list is for groups whose files each hold one named term; others would merge into one."""
    files = ours(group)
    nodes = [yaml.safe_load(files[name].read_text()) for name in names if name in files]
    if any(
        isinstance(node, dict)
        and (
            "_target_" in node
            or ("defaults" in node and not any(isinstance(v, dict) for v in node.values()))
        )
        for node in nodes
    ):
        mend = f"choose one, for example {group}={names[0]}"
        if group == "noise":
            mend = f"several noises in a row: noise=chain 'noise.steps=[{','.join(names)}]'"
        raise UserError(f"{override}: {group} takes one word\n  {mend}")
