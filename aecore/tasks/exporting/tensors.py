"""A model as safetensors: its weights, and in the header what makes a model of them again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from aecore.model.autoencoder import Autoencoder
from aecore.runs.checkpoint import RECORD, SAMPLED
from aecore.runs.open import find
from aecore.runs.record import Record, restore


def write(model: Autoencoder, record: Record, path: Path) -> None:
    """Write weights, the fitted sampler where there is one, and the record.

    `aecore.load(path)` opens it; nothing in it is pickled.
    """
    from safetensors.torch import save_file

    values: dict[str, Tensor] = dict(model.state_dict())
    if model.sampler is not None:
        values |= {SAMPLED + name: value for name, value in model.sampler.tensors().items()}
    # clones: the format refuses what shares its memory
    plain = {n: v.detach().cpu().contiguous().clone() for n, v in values.items()}
    record = replace(record, image_shape=model.image_shape)
    save_file(plain, path, metadata={RECORD: json.dumps(record.plain()), "format": "pt"})


def read(path: Path) -> Autoencoder:
    """The model in such a file, on the CPU; UserError where it is damaged or foreign."""
    found = find(path)
    model = restore(found.settings, found.checkpoint, found.image_shape, found.path)
    model.sampler = found.sampler(model)
    return model
