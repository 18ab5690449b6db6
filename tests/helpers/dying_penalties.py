"""Penalties with which a job ends badly, for tests of what outlives it."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from aecore.config.component import PositiveInt, component
from aecore.model.passes import Pass
from aecore.model.penalties.base import Penalty

YAML = """# Sends its process a signal while a file is there
dying:
  _target_: dying_penalties.Dying
  weight: 1.0
  schedule: constant
  warmup: 0
  file: {file}
  rank: {rank}
  step: {step}
  signal: {signal}
  parent: {parent}
"""


FAILING = """# Raises
failing:
  _target_: dying_penalties.Failing
  weight: 1.0
  schedule: constant
  warmup: 0
"""


@final
class Dying(Penalty):
    """Zero, or death in training while `file` is there, in the process of that local rank.

    step: in which of the process's own. signal: with any but SIGKILL the file goes too.
    parent: whether it is sent to the process that started this one.
    """

    @component
    def __init__(
        self, *, file: str, rank: str, step: PositiveInt, signal: str, parent: bool
    ) -> None:
        super().__init__()
        self.file, self.rank, self.left = Path(file), rank, step
        self.signal, self.parent = signal, parent

    def forward(self, p: Pass) -> Tensor:
        self.left -= self.training
        if self.left <= 0 and self.file.exists() and os.environ.get("LOCAL_RANK", "0") == self.rank:
            if self.signal != "SIGKILL":
                self.file.unlink()
            number = signal.Signals[self.signal]
            os.kill(os.getppid() if self.parent else os.getpid(), number)
        return p.code.z.flatten(1).sum(1) * 0


@final
class Failing(Penalty):
    """Holds 20 MB and raises an error in training that nobody expects."""

    @component
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("ballast", torch.ones(5_000_000))

    def forward(self, p: Pass) -> Tensor:
        if self.training and not Path("healed").exists():
            raise RuntimeError("as planned")
        return p.code.z.flatten(1).sum(1) * 0


def write_yaml(
    folder: Path, rank: int, step: int = 1, signal: str = "SIGKILL", parent: bool = False
) -> None:
    """A `--config-dir` in which `penalty=dying` is known; it kills while `folder/file` is there."""
    (folder / "penalty").mkdir(parents=True)
    shutil.copy(__file__, folder)  # as a user's own module lies there
    text = YAML.format(
        file=folder / "file", rank=f"'{rank}'", step=step, signal=signal, parent=str(parent).lower()
    )
    (folder / "penalty" / "dying.yaml").write_text(text)
    (folder / "file").touch()
    (folder / "penalty" / "failing.yaml").write_text(FAILING)
