"""Components that are modules, and the layers of modules."""

from __future__ import annotations

from typing import Any, Self

from torch import nn

from aecore.config.component import Component
from aecore.data.split import Split
from aecore.model.passes import Model


class ComponentModule(Component, nn.Module, options=False):
    """A module whose fields are its options; see `Component`."""

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """A module before any of its fields is set."""
        module = super().__new__(cls)
        nn.Module.__init__(module)
        return module


class ModelPart(ComponentModule, options=False):
    """A penalty, a reconstruction or a prior: a component that may depend on the rest of the model.

    `connect` and `check` are called when the model is built, in this order, `begin` before it is
    trained.
    """

    def connect(self, model: Model) -> None:
        """Create what depends on the model, which is complete but for such parts."""
        return None

    def check(self, model: Model) -> None:
        """Raise UserError if this component is incompatible with the others."""
        return None

    def begin(self, model: Model, training: Split, seed: int) -> None:
        """Initialise from training images, before the first step of training.

        training: the images, with labels where there are some; of a penalty or a reconstruction
        their targets. Raises UserError where they are not what this component needs.
        """
        return None


def leaves(*modules: nn.Module) -> list[nn.Module]:
    """The modules without submodules, in order."""
    # not any(children()): an empty Sequential is a child and false
    parts = (part for module in modules for part in module.modules())
    return [part for part in parts if next(part.children(), None) is None]
