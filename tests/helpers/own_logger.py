"""A logger of the user's own that is given a token, for tests of what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aecore.config.component import component
from aecore.errors import UserError
from aecore.training.loggers.base import RunLogger

GIVEN: list[str | None] = []  # the tokens of every logger that was made

YAML = """# Is given a token
_target_: own_logger.Telling
token: {token}
place: somewhere
"""


class Telling(RunLogger):
    """Keeps its token in mind."""

    @component
    def __init__(
        self, *, folder: Path, purge_step: int | None, token: str | None, place: str
    ) -> None:
        if token == "refused":
            raise UserError(f"logger.token={token}: the server said no to {token}")
        super().__init__(folder, purge_step)
        from helpers import own_logger

        own_logger.GIVEN.append(token)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        pass


def write_logger(folder: Path, token: str = "null") -> None:
    """Its YAML, below a folder for `--config-dir`, and its module."""
    (folder / "logger").mkdir(parents=True)
    (folder / "logger" / "telling.yaml").write_text(YAML.format(token=token))
    (folder / "own_logger.py").write_bytes(Path(__file__).read_bytes())
