"""Opening an MLflow store: quietly, by one job at a time, with short errors."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from aecore.errors import UserError
from aecore.runs.files import checked, make_folder
from aecore.training.loggers.base import environment

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SQLITE = "sqlite:///"
_QUIETLY = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nothing is reported to anyone
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",  # no file stays open between two calls
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # a missing server is reported at once
}


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


@contextmanager
def _locked(file: Path | None) -> Iterator[None]:
    """Keep other jobs from creating the database or the experiment at the same time."""
    if file is None:
        yield
        return
    make_folder(checked(file).parent)
    with FileLock(checked(file.with_name(f".{file.name}.lock"))):
        yield
