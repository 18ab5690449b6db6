"""Components that are modules, and the layers of modules."""

from __future__ import annotations

from typing import Any, Self

from torch import nn

from aecore.config.component import Component


class ComponentModule(Component, nn.Module, options=False):
    """A module whose fields are its options; see `Component`."""

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """A module before any of its fields is set."""
        module = super().__new__(cls)
        nn.Module.__init__(module)
        return module


def leaves(*modules: nn.Module) -> list[nn.Module]:
    """The modules without submodules, in order."""
    # not any(children()): an empty Sequential is a child and false
    parts = (part for module in modules for part in module.modules())
    return [part for part in parts if next(part.children(), None) is None]
