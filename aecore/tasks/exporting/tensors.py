"""A model as safetensors: its weights, with the record that restores a model from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from aecore.model.autoencoder import Autoencoder
from aecore.runs.checkpoint import CHECKSUM, RECORD, SAMPLER_PREFIX, checksum


def write(model: Autoencoder, record: Mapping[str, Any], path: Path) -> None:
    """Write weights, the fitted sampler, if any, and the record.

    `aecore.load(path)` opens it; nothing in it is pickled.
    """
    from safetensors.torch import save_file

    values: dict[str, Tensor] = dict(model.state_dict())
    if model.sampler is not None:
        values |= {SAMPLER_PREFIX + name: v for name, v in model.sampler.tensors().items()}
    # clones: the format refuses tensors that share memory
    plain = {n: v.detach().cpu().contiguous().clone() for n, v in values.items()}
    text = json.dumps(record)
    header = {RECORD: text, CHECKSUM: checksum(text, plain), "format": "pt"}
    save_file(plain, path, metadata=header)
