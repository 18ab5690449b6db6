"""The options of a config group: a table of all of them, and sections of those without one."""

from __future__ import annotations

import yaml

from aecore.config.folders import builtin_options
from aecore.config.help import first_comment
from docs.making.components import Option, flat, formatted, load_option, targets
from docs.making.docstrings import escaped
from docs.making.page import Page, slug
from docs.making.tables import class_text, keys_table, table

SELECTIONS = ("model", "experiment", "sweeps")  # of options of other groups; they have no class
_PARTS = ("network", "latent", "noise", "penalty", "reconstruction")


def options_table(group: str, page: Page) -> str:
    """Every option of a group in one line, with a link to its section on this page."""
    if group == "model":
        return presets_table()
    rows = []
    for name, file in builtin_options(group).items():
        anchor = None if group in SELECTIONS else _anchor(load_option(group, name), page)
        typed = f"`{_typed(group, name)}`"
        summary = escaped(first_comment(file))
        if group not in SELECTIONS:
            summary += _changes(load_option(group, name))
        rows.append((typed if anchor is None else f"[{typed}](#{anchor})", summary))
    return table(("option", "description"), rows)


def sections(group: str, page: Page) -> str:
    """A section for each option of a group that has none on this page."""
    start, _ = page.part(group)
    marks = "#" * (page.level(start) + 1)
    texts = []
    for name in builtin_options(group):
        option = load_option(group, name)
        if _has_section(option) and _by_hand(option, page) is None:
            about = class_text(f"{group}/{name}") if not option.bases else ""
            summary = f"{escaped(option.summary)}."
            texts.append(f"{marks} {_heading(option, page)}")
            texts += [] if about.startswith(summary) else [summary]
            texts += [part for part in (about, keys_table(f"{group}/{name}")) if part]
    return "\n\n".join(texts)


def presets_table() -> str:
    """Every preset with its summary and the options that it selects."""
    rows = []
    for name, file in builtin_options("model").items():
        node = yaml.safe_load(file.read_text())
        chosen = [(k.partition("/")[2], v) for one in node.pop("defaults") for k, v in one.items()]
        text = " ".join(f"{k}={formatted(v)}" for k, v in [*chosen, *flat(node)])
        rows.append((f"`model={name}`", escaped(first_comment(file)), f"`{text}`"))
    return table(("preset", "description", "same as"), rows)


def parts_table(_: str, __: Page) -> str:
    """The five parts of an autoencoder with the names of their options."""
    rows = []
    for group in _PARTS:
        link = f"[{group}](ROOT/docs/components/{group}.md)"
        names = ", ".join(f"`{name}`" for name in builtin_options(group))
        rows.append((link, names))
    return table(("config group", "options"), rows)


def _typed(group: str, name: str) -> str:
    return f"evaluate.metrics=[{name}]" if group == "evaluate/metrics" else f"{group}={name}"


def _changes(option: Option) -> str:
    """What a variant changes in the option that it starts from."""
    if not _is_variant(option):
        return ""
    node = option.changes
    if len(node) == 1 and isinstance(inner := next(iter(node.values())), dict):
        node = inner  # the name of the option itself, `kl:`
    changes = ", ".join(f"`{key}={formatted(value)}`" for key, value in flat(node))
    return f": `{option.parent}` with {changes}" if changes else f": `{option.parent}`"


def _is_variant(option: Option) -> bool:
    """Whether an option only sets keys of the one option that it starts from."""
    return option.parent is not None and "_target_" not in option.changes


def _has_section(option: Option) -> bool:
    """Whether there is anything to say about an option but its line in the table."""
    return not _is_variant(option) and (option.group == "trainer" or any(targets(option)))


def _anchor(option: Option, page: Page) -> str | None:
    """The section of an option, or of the option that it is a variant of; None for none."""
    heading = _by_hand(option, page)
    if heading is None and _has_section(option):
        heading = _heading(option, page)
    if heading is not None:
        return slug(heading)
    if option.parent is None:
        return None
    return _anchor(load_option(option.group, option.parent), page)


def _by_hand(option: Option, page: Page) -> str | None:
    """The heading that names an option in its group's part of a page, `vq` or `latent=vq`."""
    start, end = page.part(option.group)
    names = {option.name, _typed(option.group, option.name)}
    inside = (text for position, _, text in page.headings if start < position < end)
    return next((text for text in inside if text in names), None)


def _heading(option: Option, page: Page) -> str:
    """The heading of a generated section: unique where a page has several groups."""
    alone = sum(name == "options" for name, _ in page.regions) == 1
    return option.name if alone else _typed(option.group, option.name)
