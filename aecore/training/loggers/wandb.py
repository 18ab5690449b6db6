"""A run of Weights & Biases: a folder that can be uploaded later, or straight to the server."""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field, TypeAdapter
from torch import Tensor

from aecore.config.component import NonNegativeInt, component
from aecore.errors import UserError
from aecore.runs.files import checked, write_json
from aecore.runs.folder import RUN, numbered, read_run
from aecore.runs.sweep import sweep_of
from aecore.runs.sweep_record import RECORD
from aecore.runs.validation import read_json
from aecore.training.loggers.base import BINS, RunLogger, environment, finite, pixels

if TYPE_CHECKING:
    from wandb import Run

_LONGEST = 128  # letters of a name
_RECORD = "wandb.json"  # in the run folder: the id of the run
_IDS = TypeAdapter(dict[str, Annotated[str, Field(pattern=r"^\w{1,64}$")]])


class WandB(RunLogger):
    """Hyperparameters, metrics, images and figures of a run.

    Offline, all goes to `folder/wandb`, and nothing to the network; `wandb sync` uploads it. A
    resumed run keeps its id in another folder there: uploaded, both are one run, in which the
    steps after the last checkpoint of the first appear twice.

    Runs are named by their overrides, and those of a sweep are one group.

    project: the name of the project that the run belongs to. entity: the user or team, None for
    the default of the account. tags: of the run. mode: offline, or online for those
    who have logged in.
    Raises UserError where the extra is missing, and before training where it cannot log in.
    """

    extra = "wandb"
    takes_images = True

    @component
    def __init__(
        self,
        *,
        folder: Path,
        purge_step: NonNegativeInt | None,
        project: Annotated[str, Field(min_length=1)],
        mode: Literal["offline", "online"],
        entity: Annotated[str, Field(min_length=1)] | None = None,
        tags: Sequence[str] = (),
    ) -> None:
        super().__init__(folder, purge_step)
        self.project = project
        self.mode: Literal["offline", "online"] = mode
        self.entity, self.tags = entity, [*tags]
        self._run: Run | None = None
        self._step = 0
        self._evaluated = False

    def commands(self, output_dir: str) -> list[tuple[str, str]]:
        """The command that uploads the folder, where it was not uploaded."""
        if self.mode == "online":
            return []
        return [("W&B", f"wandb sync {shlex.quote(str(self.folder / 'wandb'))}/offline-run-*")]

    def _open(self) -> Run:
        """The run, under the id that the folder names, or a new one."""
        if self._run is not None:
            return self._run
        with environment(WANDB_ERROR_REPORTING="false"):  # nothing is reported to anyone
            import wandb

            try:
                self._run = wandb.init(
                    project=self.project,
                    entity=self.entity,
                    tags=self.tags,
                    name=self._title(),
                    group=self._group(),
                    id=self._id(),
                    dir=checked(self.folder / "wandb").parent,
                    mode=self.mode,
                    resume="allow" if self.mode == "online" else None,
                    reinit="create_new",
                    settings=wandb.Settings(
                        console="off",
                        silent=True,
                        disable_git=True,
                        disable_job_creation=True,
                        save_code=False,
                        x_disable_meta=True,
                        x_disable_stats=True,
                        x_disable_machine_info=True,
                        x_save_requirements=False,
                    ),
                )
            except wandb.Error as error:
                wandb.teardown()
                reason = str(error).strip().partition("\n")[0]
                raise UserError(f"logger.mode={self.mode}: {reason}") from error
        return self._run

    def _title(self) -> str:
        """The overrides of the run; of a run without any its folder."""
        recorded = (self.folder / RUN).is_file()
        overrides = read_run(self.folder)["overrides"] if recorded else []
        return " ".join(overrides)[:_LONGEST] or f"{self.folder.parent.name}/{self.folder.name}"

    def _group(self) -> str | None:
        """The sweep that the run is a job of, by which W&B groups and averages runs."""
        sweep = sweep_of(self.folder)
        return f"{sweep.parent.name}/{sweep.name}" if (sweep / RECORD).is_file() else None

    def _id(self) -> str:
        path = self.folder / _RECORD
        try:
            return read_json(path, _IDS)["id"]
        except (UserError, KeyError):
            run_id = uuid.uuid4().hex[:8]
            write_json(path, {"id": run_id})
            return run_id

    def hparams(self, parameters: Mapping[str, object]) -> None:
        """Write the hyperparameters; raises UserError where the run cannot be opened."""
        self._open().config.update(dict(parameters), allow_val_change=True)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write the values; Lightning's `epoch` is left out."""
        self._log({k: v for k, v in metrics.items() if k != "epoch"}, step or 0)

    def _log(self, values: Mapping[str, object], step: int) -> None:
        self._step = max(self._step, step)  # W&B takes steps in order only
        self._open().log(dict(values), step=self._step)

    def image(self, tag: str, grid: Tensor, step: int) -> None:
        """Log one image (1|3, H, W), pixels in [0, 1]."""
        import wandb

        self._log({tag: wandb.Image(pixels(grid))}, step)

    def histogram(self, tag: str, values: Tensor, step: int) -> None:
        """Write the distribution of values of any shape; those that are not finite are left out."""
        import wandb

        if len(kept := finite(values)):
            counts = np.histogram(kept, bins=BINS)
            self._log({tag: wandb.Histogram(np_histogram=counts)}, step)

    def results(self, metrics: Mapping[str, float]) -> None:
        """Write the test metrics, none that is one of a series, and the figures."""
        import wandb

        run = self._open()
        run.summary.update({k: v for k, v in metrics.items() if not numbered(k)})
        figures = self.folder / "figures"
        media = {f"figures/{f.stem}": wandb.Image(str(f)) for f in figures.glob("*.png")}
        media |= {
            f"figures/{f.stem}": wandb.Video(str(f), format="gif") for f in figures.glob("*.gif")
        }
        if media:
            self._log(media, self._step)
        self._evaluated = True

    def finalize(self, status: str) -> None:
        """End the run and its process once it is evaluated, or at once where it failed."""
        if self._run is None or (status == "success" and not self._evaluated):
            return
        import wandb

        self._run.finish(exit_code=0 if status == "success" else 1)
        self._run = None
        wandb.teardown()
