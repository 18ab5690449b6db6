"""The API reference of the site, in the directives of mkdocstrings, from reference.yaml.

The repository holds no such page: there a class is linked to its file.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Any

import yaml

LIST = Path(__file__).with_name("reference.yaml")
_MODULE = "\n    options:\n      show_root_heading: false\n      show_root_toc_entry: false"


def pages() -> dict[str, str]:
    """The text of each page by its place below docs/."""
    listed: list[dict[str, Any]] = yaml.safe_load(LIST.read_text(encoding="utf-8"))
    return {f"api/{entry['page']}.md": _page(entry) for entry in listed}


def _page(entry: dict[str, Any]) -> str:
    names: list[str] = []
    for name in entry["names"]:
        names += _package(*next(iter(name.items()))) if isinstance(name, dict) else [name]
    return "\n\n".join([f"# {entry['title']}", entry["text"], *map(_directive, names)])


def _directive(name: str) -> str:
    is_module = name.rpartition(".")[2].islower() and not _is_function(name)
    return f"::: {name}{_MODULE if is_module else ''}"


def _is_function(name: str) -> bool:
    module, _, last = name.rpartition(".")
    return inspect.isfunction(getattr(importlib.import_module(module), last, None))


def _package(package: str, first: str) -> list[str]:
    """The places of the public classes of a package, those of one of its modules first."""
    root = importlib.import_module(package)
    modules = [m.name for m in pkgutil.walk_packages(root.__path__, f"{package}.")]
    modules.sort(key=lambda module: module != f"{package}.{first}")
    others = [place for module in modules[1:] for place in _public_classes(module)]
    others.sort(key=lambda place: place.rpartition(".")[2])
    return [*_public_classes(modules[0]), *others]


def _public_classes(module: str) -> list[str]:
    """The places of the public classes that a module defines, in the order of its text."""
    return [
        f"{module}.{name}"
        for name, value in vars(importlib.import_module(module)).items()
        if inspect.isclass(value) and value.__module__ == module and not name.startswith("_")
    ]
