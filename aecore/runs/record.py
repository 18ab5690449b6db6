"""What a checkpoint says of its model, so that the file alone is enough to build it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, ValidationError
from torch import Tensor

from aecore import __version__
from aecore.config.build import validate
from aecore.config.component import PositiveInt
from aecore.config.schema import Config, Node
from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.model.components import build_components
from aecore.model.conditioning import PLANES
from aecore.model.limits import limited_to
from aecore.runs.checkpoint import RECORD, check_weights, weights
from aecore.runs.validation import check_plain, check_targets, printable
from aecore.types import ImageShape

_READABLE = ("0.1.0", "0.2.0")  # versions whose configurations this one understands
_LARGEST = 2**28  # numbers in one image


@dataclass(frozen=True)
class Record:
    """Of which model, made by which version, for which images.

    config: the run's resolved configuration.
    image_shape: (C, H, W), None where a version before 0.2.0 did not say.
    class_names: what the labels 0, 1, ... mean, None where they have no names.
    """

    version: str
    config: dict[str, Any]
    image_shape: ImageShape | None
    class_names: tuple[str, ...] | None = None

    def plain(self) -> dict[str, Any]:
        """As it stands in a checkpoint: no tuples."""
        shape, names = self.image_shape, self.class_names
        lists = {"image_shape": shape and list(shape), "class_names": names and list(names)}
        return {**asdict(self), **lists}

    def settings(self, where: Path) -> Config:
        """The configuration, checked; UserError where this version does not understand it."""
        check_version(self.version, where)
        try:
            return validate(Config, self.config)
        except UserError as error:
            made = f"\n  it was made by aecore {self.version}, this is {__version__}"
            raise UserError(f"{where}: {_why(error)}{made}") from error


class _Told(Node):
    """A record as it stands in a checkpoint."""

    version: str
    config: dict[str, Any]
    image_shape: Annotated[list[PositiveInt], Field(min_length=3, max_length=3)]
    class_names: list[str] | None = None


def make_record(settings: Config, model: Autoencoder, names: tuple[str, ...] | None) -> Record:
    """The record of a model that is about to be trained."""
    return Record(__version__, settings.model_dump(), model.image_shape, names)


def read_record(checkpoint: Mapping[str, Any], path: Path) -> Record | None:
    """What a checkpoint says, None where it says nothing (before 0.2.0); UserError for nonsense."""
    found = checkpoint.get(RECORD)
    if found is None:
        return None
    try:
        told = _Told.model_validate(found)
    except ValidationError as error:
        raise UserError(f"{path}: its record is damaged; it was not used") from error
    channels, height, width = told.image_shape
    if channels * height * width > _LARGEST:
        raise UserError(f"{path}: made for images of {told.image_shape}; it was not used")
    check_plain(told.config, path)
    check_targets(told.config, path)
    names = None if told.class_names is None else tuple(map(_digit, told.class_names))
    return Record(told.version, told.config, (channels, height, width), names)


def _digit(name: str) -> str:
    """MNIST's `3 - three`, as 0.2.0 called it first, as `3`."""
    number, dash, _ = name.partition(" - ")
    return number if dash and number.isdecimal() else name


def _why(error: UserError) -> str:
    """What is wrong with a foreign configuration, and the mend."""
    return "\n".join(printable(line) for line in str(error).splitlines()[:2])


def check_version(version: str, where: Path) -> None:
    """Raise UserError for what was made by a version that this one does not know."""
    if version not in _READABLE:
        raise UserError(
            f"{where}: made by aecore {printable(version)}, this is {__version__}, which reads "
            f"{', '.join(_READABLE)}\n  install the version that made it, or train again"
        )


def restore(
    settings: Config, checkpoint: Mapping[str, Any], image_shape: ImageShape, path: Path
) -> Autoencoder:
    """The trained model of a checkpoint, on the CPU, in evaluation mode.

    Its sizes are compared with those of the weights before memory is taken for it.
    Raises UserError where they are another model's.
    """
    state = weights(checkpoint)
    shift: Tensor | None = None
    scale: Tensor | None = None
    if settings.dataset.get("range") == "standardised":  # the weights know: no images are read
        shift, scale = (_statistic(state, name, image_shape, path) for name in ("shift", "scale"))
    classes = state.get(PLANES, torch.ones(1)).shape[:1].numel() if settings.conditional else None
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they were
        return _built(settings, state, image_shape, (shift, scale), classes, path)


def _built(
    settings: Config,
    state: Mapping[str, Tensor],
    image_shape: ImageShape,
    statistics: tuple[Tensor | None, Tensor | None],
    classes: int | None,
    path: Path,
) -> Autoencoder:
    try:
        with torch.device("meta"), limited_to(state.values()):
            there = [None if t is None else t.to("meta") for t in statistics]
            blank = build_components(settings).autoencoder(image_shape, there[0], there[1], classes)
    except UserError as error:
        raise UserError(f"{path}: {_why(error)}") from error
    except Exception as error:  # of numbers that no memory holds, say
        raise UserError(
            f"{path}: its words make no model ({type(error).__name__}); it was not used\n"
            f"  {printable(error)}"
        ) from error
    check_weights(blank, state, path)
    model = build_components(settings).autoencoder(image_shape, *statistics, classes)
    model.load_state_dict(state)
    return model.eval()


def _statistic(
    state: Mapping[str, Tensor], name: str, image_shape: ImageShape, path: Path
) -> Tensor:
    """What standardised data were shifted or scaled by."""
    found = state.get(name, torch.ones(()))
    shape = tuple(found.shape)
    sides = zip(shape, image_shape, strict=False)
    if len(shape) != 3 or any(n not in (1, side) for n, side in sides):
        raise UserError(f"{path}: {name} of shape {shape} is of other images; it was not used")
    return found
