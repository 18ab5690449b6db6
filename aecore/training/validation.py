"""The losses of a validation batch."""

from __future__ import annotations

from typing import Any

from torch import Generator, Tensor

from aecore.model.autoencoder import Autoencoder
from aecore.model.comparable import FINAL_EPOCH, comparable_loss, is_trained_loss_comparable
from aecore.types import Batch


def validation_losses(
    model: Autoencoder, batch: Batch, generator: Generator, epoch: float
) -> dict[str, Tensor]:
    """The comparable loss and every term, scalars; the loss as it is trained where it is another.

    epoch: after which the loss is trained as it is now, with the same draws as the others.
    """
    given: dict[str, Any] = {"noisy": False, "y": batch.y, "target": batch.target}
    running = {}
    if not is_trained_loss_comparable(model):
        same = Generator(device=generator.device)
        same.set_state(generator.get_state())
        running["running_loss"] = model.terms(batch.x, same, epoch=epoch, **given).loss
    terms = model.terms(batch.x, generator, epoch=FINAL_EPOCH, **given)
    loss = comparable_loss(model, batch.x, terms, batch.y, batch.target)
    return {"loss": loss, **terms.logged, **running}
