"""A run in an MLflow store: a database file, or a server."""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from filelock import FileLock
from pydantic import Field, TypeAdapter
from torch import Tensor

from aecore.config.component import NonNegativeInt, component
from aecore.config.secret import masked
from aecore.errors import ConfigError, UserError
from aecore.runs.files import checked, make_folder, write_json
from aecore.runs.folder import CONFIG, numbered
from aecore.runs.validation import read_json
from aecore.training.loggers.base import FLUSH_SECONDS, RunLogger, environment, pixels

if TYPE_CHECKING:
    from mlflow import MlflowClient

_RECORD = "mlflow.json"  # in the run folder: which run of which store it is
_RECORDED = TypeAdapter(dict[str, str])
_SQLITE = "sqlite:///"
_QUIETLY = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nothing is reported to anyone
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",  # no file stays open between two calls
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # a missing server is reported at once
}
_METRICS, _PARAMETERS = 1000, 100  # at most in one request
Value = tuple[str, float, int, int]  # of a metric: name, value, milliseconds, step

log = logging.getLogger("aecore")


class MLflow(RunLogger):
    """Hyperparameters, metrics, images and figures of a run.

    A resumed run continues its MLflow run. MLflow deletes no metric, so steps that the store has
    already are not written again. If the store is lost during the training, the training
    continues without it.

    uri: of the store: `sqlite:///FILE`, created where it is missing, or that of a server.
    experiment: the name of the MLflow experiment that the run belongs to.
    Raises UserError where the extra is missing, and before training where there is no store.
    """

    extra = "mlflow"
    takes_images = True

    @component
    def __init__(
        self,
        *,
        folder: Path,
        purge_step: NonNegativeInt | None,
        uri: str,
        experiment: Annotated[str, Field(min_length=1)],
    ) -> None:
        if "://" not in uri:
            hint = "write sqlite:///FILE or http://SERVER"
            raise ConfigError("logger.uri", uri, "no address of a store", hint)
        super().__init__(folder, purge_step)
        self.uri = uri
        self.experiment = experiment
        self._client: MlflowClient | None = None
        self._run = ""
        self._written: dict[str, int] = {}  # the last step of each metric in the store
        self._waiting: list[Value] = []
        self._flushed = 0.0
        self._evaluated = False
        self._lost = False

    def check(self) -> None:
        """Raise UserError where the store cannot be opened."""
        open_store(self.uri, self.experiment)

    def commands(self, output_dir: str) -> list[tuple[str, str]]:
        """The web page of MLflow, which needs all of MLflow; a server has one already."""
        if "logger.uri" in self.secrets:
            return []
        if self.uri.startswith("http"):
            return [("MLflow", self.uri)]
        return [("MLflow", f"mlflow ui --backend-store-uri {shlex.quote(self.uri)}")]

    def _open(self) -> MlflowClient:
        """Open the store, and in it the run that the folder names or a new one."""
        if self._client is None:
            client, experiment = open_store(self.uri, self.experiment)
            self._run = self._continued(client) or self._new(client, experiment)
            self._client, self._flushed = client, time.monotonic()
        return self._client

    def _continued(self, client: MlflowClient) -> str | None:
        """The run of this folder; None for a new folder, or where the store does not have it."""
        try:
            run = read_json(self.folder / _RECORD, _RECORDED)["run"]
            for key in client.get_run(run).data.metrics:
                steps = [metric.step for metric in client.get_metric_history(run, key)]
                self._written[key] = max(steps)
            client.update_run(run, status="RUNNING")
        except (UserError, OSError, KeyError, library().MlflowException):
            return None
        return run

    def _new(self, client: MlflowClient, experiment: str) -> str:
        name = f"{self.folder.parent.name}/{self.folder.name}"
        tags = {"folder": str(self.folder.absolute())}
        run = str(client.create_run(experiment, run_name=name, tags=tags).info.run_id)
        uri = None if "logger.uri" in self.secrets else self.uri
        record = {"uri": uri, "experiment": self.experiment, "run": run}
        write_json(self.folder / _RECORD, record)
        return run

    def _write(self, write: Callable[[MlflowClient], None]) -> None:
        """Write to the store unless it was lost."""
        if self._lost:
            return
        try:
            write(self._open())
        except (library().MlflowException, OSError, UserError) as error:
            self._lost = True
            reason = masked(str(error).strip().partition("\n")[0], self.secrets)
            log.warning(f"logger=mlflow: {reason}; the run continues without it")

    def hparams(self, parameters: Mapping[str, object]) -> None:
        """Write the hyperparameters that the store does not have: MLflow changes none.

        Raises UserError where there is no store.
        """

        def write(client: MlflowClient) -> None:
            param, known = library().entities.Param, client.get_run(self._run).data.params
            new = [param(k, str(v)) for k, v in parameters.items() if k not in known]
            for start in range(0, len(new), _PARAMETERS):
                client.log_batch(self._run, params=new[start : start + _PARAMETERS])

        self._open()
        self._write(write)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write the values, many at a time; Lightning's `epoch` is left out."""
        now, at = _milliseconds(), step or 0
        self._waiting += [(k, float(v), now, at) for k, v in metrics.items() if k != "epoch"]
        late = time.monotonic() - self._flushed > FLUSH_SECONDS
        if late or len(self._waiting) > _METRICS:
            self.save()

    def save(self) -> None:
        """Write the waiting metrics."""
        waiting, self._waiting, self._flushed = self._waiting, [], time.monotonic()
        if waiting:
            self._write(lambda client: self._put(client, waiting))

    def _put(self, client: MlflowClient, values: list[Value]) -> None:
        metric = library().entities.Metric
        new = [value for value in values if value[-1] > self._written.get(value[0], -1)]
        for start in range(0, len(new), _METRICS):
            some = new[start : start + _METRICS]
            client.log_batch(self._run, metrics=[metric(*value) for value in some])
        self._written |= {key: step for key, _, _, step in new}

    def image(self, tag: str, grid: Tensor, step: int) -> None:
        """Log one image (1|3, H, W), pixels in [0, 1]."""
        self._write(lambda client: client.log_image(self._run, pixels(grid), key=tag, step=step))

    def results(self, metrics: Mapping[str, float]) -> None:
        """Write the test metrics, but none of a series, the figures and the configuration."""

        def write(client: MlflowClient) -> None:
            now, last = _milliseconds(), max(self._written.values(), default=0)
            values = [(k, float(v), now, last) for k, v in metrics.items() if not numbered(k)]
            self._put(client, values)
            if (self.folder / "figures").is_dir():
                client.log_artifacts(self._run, str(self.folder / "figures"), "figures")
            client.log_artifact(self._run, str(self.folder / CONFIG))

        self.save()
        self._write(write)
        self._evaluated = True

    def finalize(self, status: str) -> None:
        """Write what waits and end the run, once it is evaluated or has failed."""
        if self._client is None:
            return
        self.save()
        if self._evaluated or status != "success":
            state = "FINISHED" if status == "success" else "FAILED"
            self._write(lambda client: client.set_terminated(self._run, state))
            self._client = None


def _milliseconds() -> int:
    return int(time.time() * 1000)


def library() -> Any:
    """MLflow, which decides on its import whether it reports its use."""
    with environment(**_QUIETLY):
        import mlflow

        logging.getLogger("mlflow").setLevel(logging.WARNING)  # it reports every new table
        return mlflow


def open_store(uri: str, experiment: str) -> tuple[MlflowClient, str]:
    """The store and the id of the experiment; both are created where they are missing.

    The artifacts of a database file lie beside it. Raises UserError where it cannot be opened.
    """
    file = Path(uri.removeprefix(_SQLITE)).absolute() if uri.startswith(_SQLITE) else None
    mlflow = library()
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with environment(**_QUIETLY), _locked(file):
            client = mlflow.MlflowClient(uri if file is None else f"{_SQLITE}{file}")
            existing = client.get_experiment_by_name(experiment)
            if existing is not None:
                return client, str(existing.experiment_id)
            place = None if file is None else (file.parent / f"{file.stem}-artifacts").as_uri()
            return client, str(client.create_experiment(experiment, artifact_location=place))
    except (mlflow.MlflowException, SQLAlchemyError, OSError) as error:
        reason = str(error).strip().partition("\n")[0][:150]
        raise UserError(f"logger.uri={uri}: cannot be opened", reason) from error


def _locked(file: Path | None) -> AbstractContextManager[Any]:
    """Keep other jobs from creating the database or the experiment at the same time."""
    if file is None:
        return nullcontext()
    make_folder(checked(file).parent)
    return FileLock(checked(file.with_name(f".{file.name}.lock")))
