"""The format of what is written to disk, and the refusal of what another format holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from aecore.errors import UserError
from aecore.runs.validation import damaged, printable, read_json
from aecore.version import EARLIER, FORMAT, __version__

M = TypeVar("M", bound=BaseModel)
_MAPPING = TypeAdapter(dict[str, Any])


def stamp() -> dict[str, Any]:
    """The keys with which every record on disk begins."""
    return {"format": FORMAT, "version": __version__}


def read_mapping(path: Path) -> dict[str, Any]:
    """The record in a JSON file, of any format; UserError where it is missing or damaged."""
    return read_json(path, _MAPPING)


def is_current(record: Mapping[str, Any]) -> bool:
    """Whether a record is of the format that this version reads."""
    return type(record.get("format")) is int and record["format"] == FORMAT


def difference(record: Mapping[str, Any]) -> str:
    """Which version made a record of another format, in one line."""
    number, (version, remark) = record.get("format", 0), _reader(record)
    return (
        f"made by aecore {version}{remark} (format {printable(number)}); "
        f"this version reads format {FORMAT}"
    )


def check_format(record: Mapping[str, Any], where: Path, otherwise: str = "train again") -> None:
    """Raise UserError where a record is of another format.

    where: the run, sweep or file, for the message. otherwise: what helps without that version.
    """
    if not is_current(record):
        raise UserError(
            f"{where}: {difference(record)}",
            f"open it with aecore {_reader(record)[0]}, or {otherwise}",
        )


def read_stamped(path: Path, kind: type[M], otherwise: str = "train again") -> M:
    """The record in a JSON file, validated; UserError where it is damaged or of another format.

    otherwise: see `check_format`.
    """
    record = read_mapping(path)
    check_format(record, path.parent, otherwise)
    try:
        return kind.model_validate(record)
    except ValidationError as error:
        raise damaged(path, error) from error
    except (UserError, RecursionError) as error:  # of an override in it
        raise UserError(f"{path}: damaged ({printable(error)})") from error


def _reader(record: Mapping[str, Any]) -> tuple[str, str]:
    """The last version that reads a record (the one that wrote it, if later), and a remark."""
    number = record.get("format", 0)
    if type(number) is int and number in EARLIER:
        return EARLIER[number], " or earlier"
    return printable(record.get("version", "unknown")), ""
