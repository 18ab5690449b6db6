"""Trees of plain values: mappings of mappings, whose keys are written with dots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def leaves(node: Mapping[Any, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    """Every key below a node that holds no mapping, or an empty one, and its value.

    place: the key of the node.
    """
    for name, value in node.items():
        key = f"{place}.{name}" if place else str(name)
        if isinstance(value, Mapping) and value:
            yield from leaves(value, key)
        else:
            yield key, value


def at(config: Any, key: str) -> Any:
    """What stands at a key with dots; None where there is none."""
    for part in key.split("."):
        config = config.get(part) if isinstance(config, Mapping) else None
    return config


def put(config: dict[str, Any], key: str, value: Any) -> None:
    """Set a value at a key with dots, in place; mappings that are missing are made."""
    *place, name = key.split(".")
    for part in place:
        if not isinstance(config.get(part), dict):
            config[part] = {}
        config = config[part]
    config[name] = value


def targets(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Where a `_target_` stands in a tree of mappings and lists, and what it is."""
    if isinstance(node, list):
        node = dict(enumerate(node))
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "_target_":
                yield f"{path}_target_", value
            else:
                yield from targets(value, f"{path}{key}.")
