"""Damage to files and to what they hold, by a seed: for tests, and for campaigns of any length."""

from __future__ import annotations

import csv
import io
import json
import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import torch
import yaml

Tree = Any  # dictionaries and lists of plain values and tensors
PLAIN = (
    None, True, -1, 0, 2**70, 10**400, -0.5, math.nan, math.inf, "", "x", "9" * 5000, "\x1b[2J\n\n",
    [], {}, [[]], {"x": {}},
)  # fmt: skip


def nonsense(value: Any) -> list[Any]:
    """What may stand in the place of a value of a checkpoint."""
    found = [*PLAIN, torch.ones(()), torch.ones(3, 5), torch.zeros(0), torch.ones(2).long(), {7: 0}]
    if isinstance(value, torch.Tensor):
        flat = value.reshape(-1)
        found += [
            value.to(torch.int8), value.double(), value[..., None], flat[:1], flat.repeat(2),
            flat[0].expand(value.shape), torch.full_like(value, 255),
        ]  # fmt: skip
    if isinstance(value, dict | list):
        found += [[value], {"x": value}]
    if isinstance(value, list):
        found += [value + value, value[1:]]
    if isinstance(value, int | float) and math.isfinite(value):
        found += [value + 1, -value - 1, float(value), 2**31 - 1]
    return found


def paths(tree: Tree, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where each node of a tree stands, the root left out."""
    for key, value in _items(tree):
        yield (*path, key)
        yield from paths(value, (*path, key))


def at(tree: Tree, path: tuple[Any, ...]) -> Tree:
    """The node of a tree that stands there."""
    for key in path:
        tree = tree[key]
    return tree


def without(tree: Tree, path: tuple[Any, ...]) -> Tree:
    """The same tree but for one node."""
    return _changed(tree, path, lambda node, key: node.pop(key))


def replaced(tree: Tree, path: tuple[Any, ...], value: Any) -> Tree:
    """The same tree with another node there."""
    return _changed(tree, path, lambda node, key: node.__setitem__(key, value))


def trees(tree: Tree) -> Iterator[tuple[str, Tree]]:
    """Each node of a tree taken away, and replaced by each kind of nonsense; with its name."""
    for path in paths(tree):
        name = "/".join(map(str, path))
        yield f"{name} gone", without(tree, path)
        for n, value in enumerate(nonsense(at(tree, path))):
            yield f"{name} #{n} {str(value)[:30]!r}", replaced(tree, path, value)


def _changed(tree: Tree, path: tuple[Any, ...], change: Callable[[Any, Any], Any]) -> Tree:
    copy = tree.copy()
    if len(path) == 1:
        change(copy, path[0])
    else:
        copy[path[0]] = _changed(tree[path[0]], path[1:], change)
    return copy


def _items(tree: Tree) -> list[tuple[Any, Any]]:
    if isinstance(tree, dict):
        return [*tree.items()]
    return [*enumerate(tree)] if isinstance(tree, list) else []


def bytes_of(content: bytes, rng: random.Random, tries: int) -> Iterator[tuple[str, bytes]]:
    """A file cut short, with bits flipped, with a part zeroed or taken out, empty, or of noise."""
    size = max(len(content), 1)
    yield "empty", b""
    yield "zeros", bytes(len(content))
    yield "noise", rng.randbytes(len(content))
    yield "twice", content + content
    for _ in range(tries):
        a, b = sorted((rng.randrange(size), rng.randrange(size)))
        yield f"cut at {a}", content[:a]
        yield f"zeroed {a} to {b}", content[:a] + bytes(b - a) + content[b:]
        yield f"without {a} to {b}", content[:a] + content[b:]
        changed = bytearray(content or b"\0")
        for _ in range(rng.choice((1, 1, 8))):
            changed[rng.randrange(size)] ^= 1 << rng.randrange(8)
        yield "flipped", bytes(changed)


def texts() -> Iterator[tuple[str, bytes]]:
    """Files of text that are whole but not what was written."""
    laughs = "\n".join(
        ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join(9 * [f'*a{n - 1}'])}]" for n in range(1, 12))]
    )
    merged = laughs.replace("[x]", "{x: 1}").replace("[*", "{<<: [*").replace("]", "]}")
    deep = ("[", "{", '{"a":', "- ", "9")
    for text in (
        "null", "5", "-1e999", '"x"', "[]", "[[]]", "{}", "NaN", "true", "x", "\n", "a: b",
        "a,b\n1", laughs, merged, "a: &b *b", "2020-13-45", "a: 2020-13-45", "? [a]\n: b", "\0",
        "\t", "!!python/object/apply:os.system [x]", *(one * 5000 for one in deep),
    ):  # fmt: skip
        yield text[:20], text.encode()
    yield "latin", "ä".encode("latin-1")
    yield "utf-16", "x".encode("utf-16")


def documents(
    content: bytes, kind: str, rng: random.Random, tries: int
) -> Iterator[tuple[str, bytes]]:
    """All of these for a file: its bytes damaged, other text, and each of some nodes changed.

    kind: `json`, `yaml` or `csv`, whose tree is changed; of anything else only the bytes are.
    """
    yield from bytes_of(content, rng, tries)
    if kind not in _KINDS:
        return
    yield from texts()
    read, write = _KINDS[kind]
    tree = read(content.decode())
    places = list(paths(tree))
    for path in rng.sample(places, min(tries, len(places))):
        name = "/".join(map(str, path))
        yield f"{name} gone", write(without(tree, path)).encode()
        for value in rng.sample(PLAIN, 4):
            yield f"{name} {str(value)[:20]!r}", write(replaced(tree, path, value)).encode()


def _from_csv(text: str) -> Tree:
    return [*csv.reader(io.StringIO(text))]


def _to_csv(rows: Tree) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(row if isinstance(row, list) else [row] for row in rows)
    return text.getvalue()


_KINDS: dict[str, tuple[Callable[[str], Tree], Callable[[Tree], str]]] = {
    "json": (json.loads, json.dumps),
    "yaml": (yaml.safe_load, lambda tree: str(yaml.safe_dump(tree))),
    "csv": (_from_csv, _to_csv),
}
