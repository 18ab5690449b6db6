"""Types as they are said to a reader: `whole number ≥ 1`, `relu`, `null`."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt

from aecore.model.networks.base import Activation

_PLAIN = {
    int: "whole number", float: "number", str: "text", Path: "path",
    bool: "`true`, `false`", type(None): "`null`",
}  # fmt: skip
_SIGNS: dict[type, tuple[str, str]] = {
    Ge: ("≥", "ge"), Gt: (">", "gt"), Le: ("≤", "le"), Lt: ("<", "lt"),
}  # fmt: skip
_LARGE = 2**31  # a bound of the machine's, nobody's to know


def taken(hint: Any) -> str:
    """What a value of that type may be, in Markdown; empty for None."""
    if hint is None or hint in _PLAIN:
        return _PLAIN.get(hint, "")
    if hint == Activation:
        return "an activation"
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return " ".join([taken(inner[0]), *_bounds(inner[1:])])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (Union, types.UnionType):
        return ", ".join(dict.fromkeys(taken(one) for one in inner))
    if origin in (list, tuple):
        return f"list, each {each}" if (each := taken(inner[0])) else "list"
    return "" if origin is None else taken(origin)


def _bounds(notes: tuple[Any, ...]) -> list[str]:
    """What pydantic's `Field` or its notes ask for."""
    found = []
    for note in notes:
        for one in getattr(note, "metadata", [note]):
            if type(one) in _SIGNS:
                sign, name = _SIGNS[type(one)]
                value = getattr(one, name)
                found += [f"{sign} {value}"] if value < _LARGE else []
    return found
