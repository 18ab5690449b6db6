"""The loss by which epochs, checkpoints and runs are compared."""

from __future__ import annotations

import torch
from torch import Tensor

from aecore.model.autoencoder import Autoencoder
from aecore.model.objectives.base import Terms
from aecore.model.penalties.base import Penalty

FINAL_EPOCH = float("inf")  # weights and targets as after any schedule


def comparable_loss(
    model: Autoencoder,
    x: Tensor,
    terms: Terms,
    y: Tensor | None = None,
    target: Tensor | None = None,
) -> Tensor:
    """The loss without every term that a critic judges, a mean over images, a scalar.

    A critic changes while it trains, so a lower cost may mean no more than a weaker critic. Where
    the reconstruction has one, half the squared error in the model's own range stands in its
    place, summed over the image: what a Gaussian likelihood of variance 1 costs.

    x: pixels (N, C, H, W) of the terms, which are those of `FINAL_EPOCH`. y: labels (N,).
    target: what outputs are compared with, None for x.
    """
    judged = set(model.adversaries)
    if not judged:
        return terms.loss
    stand_in = {}
    if "reconstruction" in judged:
        judged |= set(model.reconstruction.cost_names)
        with torch.no_grad():
            clean = model.normalise(x if target is None else target)
            error = model.normalise(model.reconstruct(x, y)) - clean
        stand_in = {"squared_error": 0.5 * error.square().flatten(1).sum(1).mean()}
    kept = {name: value for name, value in terms.values.items() if name not in judged}
    return Terms(stand_in | kept, {"squared_error": 1.0, **terms.weights}).loss


def is_trained_loss_comparable(model: Autoencoder) -> bool:
    """Whether the loss that is trained is `comparable_loss`: no critic, and nothing scheduled."""
    weights = model.weights.values()
    growing = any(w.start or (w.schedule != "constant" and w.warmup > 0) for w in weights)
    moving = any(type(p).set_epoch is not Penalty.set_epoch for p in model.penalties.values())
    return not (model.adversaries or growing or moving)
