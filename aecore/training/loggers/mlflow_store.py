"""Opening an MLflow store: quietly, without other jobs in between, or with one line of error."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from aecore.errors import UserError
from aecore.training.loggers.base import environment

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SQLITE = "sqlite:///"
_QUIETLY = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nothing is reported to anyone
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",  # no file stays open between two calls
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # that a server is not there is told at once
}


def library() -> Any:
    """MLflow, which decides when it is imported whether it reports its use."""
    with environment(**_QUIETLY):
        import mlflow

        logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells each table it makes
        return mlflow


def open_store(uri: str, experiment: str) -> tuple[MlflowClient, str]:
    """The store, and in it the id of the experiment; both are made where they are not there.

    A database file has its artifacts beside it. Raises UserError where it cannot be opened.
    """
    file = Path(uri.removeprefix(_SQLITE)).absolute() if uri.startswith(_SQLITE) else None
    mlflow = library()
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with environment(**_QUIETLY), _alone(file):
            client = mlflow.MlflowClient(uri if file is None else f"{_SQLITE}{file}")
            found = client.get_experiment_by_name(experiment)
            if found is not None:
                return client, str(found.experiment_id)
            place = None if file is None else (file.parent / f"{file.stem}-artifacts").as_uri()
            return client, str(client.create_experiment(experiment, artifact_location=place))
    except (mlflow.MlflowException, SQLAlchemyError, OSError) as error:
        told = str(error).strip().partition("\n")[0][:150]
        raise UserError(f"logger.uri={uri}: cannot be opened\n  {told}") from error


@contextmanager
def _alone(file: Path | None) -> Iterator[None]:
    """No other job makes the database or the experiment at the same moment."""
    if file is None:
        yield
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_name(f".{file.name}.lock")):
        yield
