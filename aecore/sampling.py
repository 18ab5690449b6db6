"""The sampler of a run: fitted to the trained model, kept beside its checkpoints, read again."""

from __future__ import annotations

import io
from pathlib import Path

import torch

from aecore.autoencoder import Autoencoder
from aecore.errors import UserError
from aecore.experiment import Words
from aecore.fitting import device_of
from aecore.metrics import Subject
from aecore.metrics.codes import mean_codes, part_of
from aecore.networks.base import flat
from aecore.results import write_atomically
from aecore.samplers import Fitted, Sampler

FILE = "checkpoints/sampler.ckpt"
_KEY = "sampler"


def add_sampler(parts: Words, model: Autoencoder, folder: Path) -> None:
    """Fit the sampler that was chosen, if any, to the trained model, and keep it in the folder.

    Leaves the model on its device and in evaluation mode.
    """
    if parts.sampler is None:
        return
    data, seed = parts.data, parts.settings.seed
    subject = Subject(
        model=model.to(device_of(parts.settings)).eval(),
        test=data.test,
        training=part_of(data.train, parts.sampler.images, seed),
        batch_size=data.eval_batch_size,
    )
    with torch.no_grad():
        codes = mean_codes(subject, subject.training).float()
    model.sampler = parts.sampler.fit(codes, seed)
    save(model.sampler, folder / FILE)


def save(fitted: Fitted, path: Path) -> None:
    """Write its tensors, atomically."""
    buffer = io.BytesIO()
    torch.save({_KEY: fitted.tensors()}, buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())


def read(sampler: Sampler, path: Path, model: Autoencoder) -> Fitted:
    """What was saved there, for that model's codes.

    Raises UserError where the file is gone, truncated, or another sampler's or model's.
    """
    if not path.is_file():
        raise UserError(
            f"{path}: no such file, so this run was not finished\n"
            f"  python run.py resume={path.parents[1]} fits the sampler"
        )
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)[_KEY]
        return sampler.restore(tensors, flat(model.code_shape))
    except Exception as error:  # torch raises many kinds on damaged files
        raise UserError(
            f"{path}: truncated, damaged or another model's sampler ({type(error).__name__})\n"
            "  it was not used; delete the run's metrics.json and resume it, which fits another"
        ) from error
