"""Tables of a page: headings that sort, cells that know their exact value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from aecore.compare.metrics import Direction
from aecore.compare.report.text import number
from aecore.compare.table import Group, Stat
from aecore.compare.values import is_number, shown

_ARROWS = {"lower": " ↓", "higher": " ↑", "none": ""}


def marked(metric: str, direction: Direction) -> str:
    """`test/mse ↓`: a metric with its better side."""
    return metric + _ARROWS[direction]


def heading(name: str, *, numeric: bool, why: str = "") -> str:
    """A heading; a button, so that the keyboard sorts too."""
    css = ' class="number"' if numeric else ""
    title = f' title="{escape(why)}"' if why else ""
    return f'<th scope="col"{css}><button type="button"{title}>{escape(name)}</button></th>'


def metric_heading(metric: str, direction: Direction) -> str:
    """A metric, and whether higher or lower is better."""
    why = "" if direction == "none" else f"{direction} is better"
    return heading(marked(metric, direction), numeric=True, why=why)


def key_headings(keys: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Headings of varied keys, those of numbers to the right."""
    return [
        heading(key, numeric=all(is_number(row[key]) for row in rows if key in row)) for key in keys
    ]


def sortable(name: str, headings: Sequence[str], rows: Sequence[str]) -> str:
    """A table in a box that scrolls horizontally; rows are joined cells."""
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f'<div class="scroller" tabindex="0" role="region" aria-label="{escape(name)}">'
        f"<table><thead><tr>{''.join(headings)}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
        "</div>"
    )


def number_cell(shown: str, value: float | None, *, best: bool = False) -> str:
    """A number; `shown` is HTML, `value` is the sort key and the tooltip."""
    exact = "" if value is None else f"{value!r}"
    css = "number best" if best else "number"
    return f'<td class="{css}" data-value="{exact}" title="{exact}">{shown}</td>'


def value_cell(values: Mapping[str, Any], key: str) -> str:
    """The value of a varied key, empty where a run has none."""
    if key not in values:
        return '<td data-value=""></td>'
    if is_number(values[key]):
        return number_cell(escape(shown(values[key])), values[key])
    return f"<td>{escape(shown(values[key]))}</td>"


def mean_cell(stat: Stat, group: Group) -> str:
    """Mean and deviation; of how many values where some are missing."""
    if stat.mean is None:
        return number_cell("", None)
    mean, _, spread = number(stat.mean, stat.std).partition(" ± ")
    html = f"{mean} <small>± {spread}</small>" if spread else mean
    if stat.n < group.finished:
        html += f" <small>(of {stat.n})</small>"
    return number_cell(html, stat.mean, best=stat.best)
