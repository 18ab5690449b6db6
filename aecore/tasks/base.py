"""The base class of tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from aecore.config.component import Component
from aecore.config.compose import Composition
from aecore.config.folders import resuming
from aecore.config.secret import without_secrets
from aecore.errors import UserError
from aecore.runs.files import make_folder
from aecore.runs.folder import is_run, reserve

if TYPE_CHECKING:
    from pytorch_lightning import Callback

    from aecore.runs.open import Run


@dataclass(frozen=True)
class Request:
    """The request of a command line.

    config: the resolved configuration, plain containers.
    choices: the option of each config group, `{"model": "vae", ...}`.
    overrides: as they were typed.
    folder: gives the run folder when first called, making it; so a refused run leaves nothing.
    resumed: whether the folder holds the run that is to go on.
    brief: whether one line at the start and one at the end are enough (a job among others).
    callbacks: gives further Lightning callbacks of a training.
    run: the trained run that the task uses, where `run=` named one.
    secrets: values by their keys, which are null in `config`; never written to disk.
    options: the overrides of what goes with `run=`, see `aecore.tasks.reuse.OPTIONS`.
    """

    config: dict[str, Any]
    choices: dict[str, Any]
    overrides: list[str]
    folder: Callable[[], Path]
    resumed: bool = False
    brief: bool = False
    callbacks: Callable[[], Sequence[Callback]] = tuple
    run: Run | None = None
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)
    options: Mapping[str, str] = field(default_factory=dict)


class Task(Component, ABC):
    """One thing that can be done with a configuration.

    computes: False where it only reads records, so without torch, whose import takes seconds.
    uses_run: whether `run=` goes with it. can_be_described: whether `dry_run=true` does.
    """

    computes: ClassVar[bool] = True
    uses_run: ClassVar[bool] = False
    can_be_described: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, request: Request) -> dict[str, float]:
        """Run the task; returns metrics (may be empty). Raises UserError before any work."""


def request_of(composition: Composition) -> Request:
    """The request to run a task on a configuration; its folder is made when first asked for."""

    def folder() -> Path:
        place = composition.run_dir
        if "hydra.run.dir" not in composition.overridden:
            return reserve(place)
        if is_run(place):
            raise UserError(
                f"hydra.run.dir={place}: holds a run already",
                f"{resuming(place)} continues it; or give another folder",
            )
        return make_folder(place)

    config, secrets = without_secrets(composition.config, composition.secrets)
    overrides = composition.overrides
    return Request(config, composition.choices, overrides, folder, secrets=secrets)
