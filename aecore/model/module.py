"""Components with parameters of their own."""

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
