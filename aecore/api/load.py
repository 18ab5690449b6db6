"""Opening a trained model in Python: `ae = aecore.load("outputs/...")`.

Needs neither Hydra nor Lightning.
"""

from __future__ import annotations

import os
from pathlib import Path

from aecore.api.trained import Trained
from aecore.errors import UserError, short
from aecore.runs.open import open_run
from aecore.runs.validation import trusting
from aecore.training.machine import device_named


def load(
    path: str | Path, *, device: str = "auto", config_dir: str | Path | None = None
) -> Trained:
    """The trained model of a run folder, a checkpoint, an export, or the newest run (`"last"`).

    A run folder gives the weights that the run was evaluated with. Nothing in the files is
    executed: the classes that they name must be components of this package, or those that the
    YAML files in `config_dir` name.
    device: "auto", "cpu", "cuda", "cuda:1", "mps".
    Raises UserError where there is no such run, or it is damaged, foreign or of another format.
    """
    if not isinstance(path, str | os.PathLike):
        raise UserError(f"{short(path)}: no run", 'give its folder, a checkpoint, or "last"')
    with trusting(config_dir):
        run = open_run(path)
        model = run.model()
    return Trained(model.to(device_named(device)), run)
