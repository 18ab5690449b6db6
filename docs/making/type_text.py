"""Types as text for a reader: `integer ≥ 1`, `relu`, `null`."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt

from aecore.model.networks.base import Activation

_PLAIN = {
    int: "integer", float: "number", str: "text", Path: "path",
    bool: "`true`, `false`", type(None): "`null`",
}  # fmt: skip
_SIGNS: dict[type, tuple[str, str]] = {
    Ge: ("≥", "ge"), Gt: (">", "gt"), Le: ("≤", "le"), Lt: ("<", "lt"),
}  # fmt: skip
_LARGE = 2**31  # bounds of the hardware, not worth showing


def type_text(hint: Any) -> str:
    """The values that a type accepts, in Markdown; empty for None."""
    if hint is None or hint in _PLAIN:
        return _PLAIN.get(hint, "")
    if hint == Activation:
        return "an activation"
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return " ".join([type_text(inner[0]), *_bounds(inner[1:])])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (Union, types.UnionType):
        return ", ".join(dict.fromkeys(type_text(one) for one in inner))
    if origin in (list, tuple):
        return f"list of {each}" if (each := type_text(inner[0])) else "list"
    return "" if origin is None else type_text(origin)


def _bounds(annotations: tuple[Any, ...]) -> list[str]:
    """The bounds among the annotations of a type, pydantic's `Field` included."""
    bounds = []
    for annotation in annotations:
        for constraint in getattr(annotation, "metadata", [annotation]):
            if type(constraint) in _SIGNS:
                sign, name = _SIGNS[type(constraint)]
                value = getattr(constraint, name)
                bounds += [f"{sign} {value}"] if value < _LARGE else []
    return bounds
