"""Autoencoders composed of components: network, latent, noise, penalty, reconstruction.

`load` opens a trained model, `fit` trains one, `Autoencoder` composes one of components, `create`
builds a component with the defaults of its YAML file. They are imported on first access, so that
the command line does not wait for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from aecore.version import __version__

if TYPE_CHECKING:
    from aecore.api.create import create
    from aecore.api.fit import fit
    from aecore.api.load import load
    from aecore.api.trained import Trained
    from aecore.data.pixels import resized
    from aecore.errors import UserError
    from aecore.model.autoencoder import Autoencoder

_HOMES = {
    "Autoencoder": "aecore.model.autoencoder",
    "Trained": "aecore.api.trained",
    "UserError": "aecore.errors",
    "create": "aecore.api.create",
    "fit": "aecore.api.fit",
    "load": "aecore.api.load",
    "resized": "aecore.data.pixels",
}
__all__ = ["Autoencoder", "Trained", "UserError", "__version__", "create", "fit", "load", "resized"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
