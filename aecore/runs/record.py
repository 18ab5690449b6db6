"""What a checkpoint records of its model, so that the file alone is enough to build it again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from aecore.config.component import PositiveInt
from aecore.config.schema import Config, Node
from aecore.errors import UserError
from aecore.runs.checkpoint import RECORD
from aecore.runs.format import check_format, stamp
from aecore.runs.validation import check_plain, check_targets
from aecore.types import ImageShape

_LARGEST = 2**28  # values in one image


class Record(Node):
    """Of which model, made by which version, for which images.

    config: the resolved configuration of the run. image_shape: [C, H, W].
    class_names: of the labels 0, 1, ...; None where they have no names.
    """

    format: int
    version: str
    config: dict[str, Any]
    image_shape: Annotated[list[PositiveInt], Field(min_length=3, max_length=3)]
    class_names: list[str] | None


def make_record(
    config: Config, image_shape: ImageShape, class_names: tuple[str, ...] | None
) -> dict[str, Any]:
    """The record of a model, plain values only."""
    names = None if class_names is None else list(class_names)
    record = {"config": config.model_dump(), "image_shape": [*image_shape], "class_names": names}
    return {**stamp(), **record}


def read_record(checkpoint: Mapping[str, Any], path: Path) -> Record:
    """The record in a checkpoint; UserError where it is damaged or of another format."""
    content = checkpoint.get(RECORD, {})
    if isinstance(content, dict):
        check_format(content, path)
    try:
        record = Record.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: its record is damaged; it was not used") from error
    channels, height, width = record.image_shape
    if channels * height * width > _LARGEST:
        raise UserError(f"{path}: made for images of {record.image_shape}; it was not used")
    check_plain(record.config, path)
    check_targets(record.config, path)
    return record
