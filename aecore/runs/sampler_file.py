"""The file of a fitted sampler, beside the checkpoints of its run."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from aecore.config.folders import resuming
from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.model.networks.base import flat
from aecore.model.samplers.base import CodeSampler, Fitted, IndexSampler, Sampler
from aecore.model.samplers.classes import restore_by_class
from aecore.runs.checkpoint import read_tensors
from aecore.runs.files import make_folder, write_atomically
from aecore.runs.format import check_format, stamp

FILE = "checkpoints/sampler.ckpt"
_KEY = "sampler"


def save_sampler(fitted: Fitted, path: Path) -> None:
    """Write its tensors, atomically."""
    buffer = io.BytesIO()
    torch.save({**stamp(), _KEY: fitted.tensors()}, buffer)
    make_folder(path.parent)
    write_atomically(path, buffer.getvalue())


def read_sampler(sampler: Sampler, path: Path, model: Autoencoder) -> Fitted:
    """The fitted sampler in a file, for the codes of that model.

    Raises UserError where the file is gone, truncated, of another format, or another sampler's or
    model's.
    """
    if not path.is_file():
        raise UserError(
            f"{path}: no such file, so this run was not finished",
            f"{resuming(path.parents[1])} fits the sampler",
        )
    with _refused(path, "delete the run's metrics.json and resume it, which fits another"):
        content = read_tensors(path)
        check_format(content, path)
        return _fitted(sampler, content[_KEY], model)


def restored(
    sampler: Sampler, tensors: Mapping[str, Tensor], path: Path, model: Autoencoder
) -> Fitted:
    """The fitted sampler of an exported model; UserError where it is another sampler's or model's.

    tensors: what the export holds of it. path: of the export, for the message.
    """
    with _refused(path, "export the run again"):
        return _fitted(sampler, tensors, model)


@contextmanager
def _refused(path: Path, hint: str) -> Iterator[None]:
    """Report whatever a damaged or a foreign file leads to as a UserError."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # torch raises many kinds
        raise UserError(
            f"{path}: truncated, damaged or another model's sampler ({type(error).__name__})",
            f"it was not used; {hint}",
        ) from error


def _fitted(sampler: Sampler, tensors: Mapping[str, Tensor], model: Autoencoder) -> Fitted:
    if isinstance(sampler, IndexSampler):
        return sampler.restore(tensors, model)
    assert isinstance(sampler, CodeSampler)
    dim = flat(model.code_shape)
    if model.classes is None:
        return sampler.restore(tensors, dim)
    return restore_by_class(sampler, tensors, dim, model.classes)
