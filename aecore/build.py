"""From a node `{_target_: aecore.x.Y, key: value}` to the object, and from errors to one line.

Instead of `hydra.utils.instantiate`, which calls whatever a node names: here a target must be a
class that fills the slot it stands in, and what its constructor refuses is said in the words of
the command line.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from aecore.errors import UserError, nearest

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


def build(node: Mapping[str, Any], path: str, base: type[T], **extra: Any) -> T:
    """The object of a node, of a class derived from `base`; `extra` arguments come from the caller.

    path: where the node stands, for messages (`latent`, `penalty.kl`).
    Raises UserError for a target that is none, unknown or missing keys, wrong types and ranges.
    """
    target = resolve(node, path, base)
    arguments = {key: value for key, value in node.items() if key != "_target_"} | extra
    try:
        return target(**arguments)
    except ValidationError as error:
        raise UserError(explain(error, path, known_keys(target) - extra.keys())) from None


def resolve(node: Mapping[str, Any], path: str, base: type[T]) -> type[T]:
    """The class a node names, which must derive from `base`; UserError otherwise."""
    name = node.get("_target_")
    if not isinstance(name, str):
        raise UserError(f"{path}: no word was chosen here (its `_target_` is missing)")
    module, _, attribute = name.rpartition(".")
    try:
        target = vars(importlib.import_module(module)).get(attribute) if module else None
    except ImportError as error:
        raise UserError(f"{path}._target_={name}: {error}") from error
    if not (inspect.isclass(target) and issubclass(target, base)):
        raise UserError(
            f"{path}._target_={name}: no {base.__name__} of that name\n"
            f"  it must name a class derived from {base.__module__}.{base.__name__}"
        )
    return target


def known_keys(target: type) -> set[str]:
    """The keyword arguments of a class."""
    return set(inspect.signature(target).parameters)


def validate(model: type[M], node: Mapping[str, Any], path: str = "") -> M:
    """A plain node as its pydantic model; UserError where it does not fit."""
    try:
        return model.model_validate(dict(node))
    except ValidationError as error:
        raise UserError(explain(error, path, set(model.model_fields))) from None


def explain(error: ValidationError, path: str, known: set[str]) -> str:
    """The first thing pydantic found wrong, as one line `key=value: mend`."""
    found = error.errors(include_url=False)
    unknown = [e for e in found if e["type"] in ("unexpected_keyword_argument", "extra_forbidden")]
    first = (unknown or found)[0]
    parts = [str(part) for part in first["loc"] if isinstance(part, (str, int))]
    if unknown:
        key = parts[-1]
        where = ".".join([path, *parts] if path else parts)
        listed = ", ".join(sorted(known))
        return f"{where}: unknown key{nearest(key, known)}\n  known here: {listed}"
    keys = [part for part in parts if part.isidentifier() or part.isdigit()]
    # a union's branches appear as extra parts; the culprit is named up to the first of them
    where = ".".join(([path] if path else []) + _own(keys, known))
    if first["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return f"{where}: this key is missing"
    return f"{where}={_shown(first['input'])}: {_mend(found)}"


def _own(keys: list[str], known: set[str]) -> list[str]:
    """Keys of the user's, without the names of types that pydantic adds for unions."""
    types = {"int", "float", "str", "bool", "none", "constrained", "list", "dict"}
    return [keys[0], *(k for k in keys[1:] if k.lower() not in types)] if keys else []


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _mend(found: list[Any]) -> str:
    """What would be right; the alternatives of a union joined by 'or'."""
    same = [e for e in found if e["loc"][:1] == found[0]["loc"][:1]]
    texts = []
    for e in same:
        text = e["msg"].replace("Input should be ", "").replace("a valid integer", "a whole number")
        if text not in texts:
            texts.append(text)
    return "must be " + " or ".join(texts)
