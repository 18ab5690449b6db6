"""Chooses the plot of a comparison: lines, a heat map or a dot plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aecore.compare.table import Group, Table
from aecore.compare.values import frozen, is_number, label, shown

_COLOURS = 10  # more lines than that cannot be distinguished by colour
_FILLED = 0.6  # share of a grid that must be there for a heat map


@dataclass(frozen=True)
class Series:
    """Groups drawn alike: `name` for the legend, `colour` the number of its colour."""

    name: str
    colour: int
    groups: tuple[Group, ...]
    joined: bool = True


@dataclass(frozen=True)
class Plan:
    """x: the key along the plot (the rows of dots). y: the other axis of a heat map."""

    kind: Literal["lines", "heat", "dots"]
    x: str
    y: str | None
    series: tuple[Series, ...]

    @property
    def legend(self) -> list[tuple[str, int]]:
        """Names with their colours, each once; empty where there is but one."""
        names = list(dict.fromkeys((s.name, s.colour) for s in self.series))
        return names if len(names) > 1 else []

    def positions(self, key: str) -> list[Any]:
        """The values of a key over all groups: ascending if numbers, else in order."""
        by_text = {
            frozen(group.values[key]): group.values[key]
            for series in self.series
            for group in series.groups
            if key in group.values
        }
        values = list(by_text.values())
        return sorted(values) if all(map(is_number, values)) else values


def plan(table: Table) -> Plan | None:
    """The plot of a comparison, None if there is nothing to compare."""
    groups = [group for group in table.groups if group.finished]
    keys = [key for key in table.keys if len({frozen(g.values.get(key)) for g in groups}) > 1]
    if len(groups) < 2 or not keys:
        return None
    numeric = [key for key in keys if len(_numbers(groups, key)) > 1]
    if len(keys) == 2 and _fills_grid(groups, keys):
        x, y = sorted(keys, key=lambda key: -len(_numbers(groups, key)))
        return Plan("heat", x, y, (Series("", 0, tuple(groups)),))
    if numeric:
        x = max(numeric, key=lambda key: len(_numbers(groups, key)))
        groups = [group for group in groups if is_number(group.values.get(x))]
        return Plan("lines", x, None, _series(groups, [key for key in keys if key != x]))
    x = max(keys, key=lambda key: len({frozen(group.values.get(key)) for group in groups}))
    return Plan("dots", x, None, _series(groups, [key for key in keys if key != x]))


def _numbers(groups: Sequence[Group], key: str) -> set[float]:
    values = [group.values.get(key) for group in groups]
    return {float(value) for value in values if is_number(value)}


def _fills_grid(groups: Sequence[Group], keys: Sequence[str]) -> bool:
    if not all(is_number(group.values.get(key)) for group in groups for key in keys):
        return False
    cells = len(_numbers(groups, keys[0])) * len(_numbers(groups, keys[1]))
    return len(groups) >= _FILLED * cells


def _series(groups: Sequence[Group], others: Sequence[str]) -> tuple[Series, ...]:
    """One for each combination of the other keys; many of them share the colours of the first.

    Where even the first has too many values, as in a random search, all are points of one colour.
    """
    members: dict[str, list[Group]] = {}
    for group in groups:
        members.setdefault(label(group.values, others), []).append(group)
    if len(members) <= _COLOURS:
        return tuple(Series(n, c, tuple(g)) for c, (n, g) in enumerate(members.items()))
    firsts = [label(alike[0].values, others[:1]) for alike in members.values()]
    if len(set(firsts)) > _COLOURS:
        return (Series("", 0, tuple(groups), joined=False),)
    numbers = {name: count for count, name in enumerate(dict.fromkeys(firsts))}
    return tuple(
        Series(name, numbers[name], tuple(alike))
        for name, alike in zip(firsts, members.values(), strict=True)
    )


def ticks(values: Sequence[Any]) -> list[str]:
    """Labels short enough for an axis."""
    texts = [printable(shown(value)) for value in values]
    return [text if len(text) <= 22 else text[:21] + "…" for text in texts]


def printable(text: str) -> str:
    """A text with a `?` for each character that no line can show, and no SVG file hold."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
