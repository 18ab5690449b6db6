"""One name has one meaning: a class in the whole package, a function in its package."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import aecore

ROOT = Path(aecore.__file__).parent


def definitions() -> Iterator[tuple[str, str, str, bool]]:
    """Package, module, name of every public class and function, and whether it is a class."""
    for path in sorted(ROOT.rglob("*.py")):
        module = path.relative_to(ROOT).with_suffix("").as_posix()
        package = module.partition("/")[0]
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                yield package, module, node.name, isinstance(node, ast.ClassDef)


def test_no_class_name_stands_for_two() -> None:
    places = defaultdict(set)
    for _, module, name, is_class in definitions():
        if is_class:
            places[name].add(module)
    assert len(places) > 200
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_functions_are_unique_within_their_package() -> None:
    places = defaultdict(set)
    for package, module, name, is_class in definitions():
        if not is_class:
            places[package, name].add(module)
    assert len(places) > 200
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_packages_and_modules() -> None:
    packages = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    modules = {path.stem for path in ROOT.glob("*.py")}
    assert len(packages) <= 10
    assert len(modules) <= 7
