"""A model that draws everywhere, and the plain loop that its training must equal."""

from __future__ import annotations

from typing import Any

import torch

from aecore.data.batches import Batches
from aecore.data.split import Split
from aecore.model.autoencoder import Autoencoder
from aecore.model.noise.noises import GaussianNoise
from aecore.model.penalties.base import Penalty
from aecore.model.penalties.kl import KL
from aecore.training.generators import epoch_seed
from aecore.training.optimizers.gradient import GradientDescent
from helpers.models import adam, gaussian, gen, images, mlp, model, weight

X = images(50, 1, 4, 4, seed=9)


def noisy_vae(seed: int = 0, penalty: Penalty | None = None) -> Autoencoder:
    """Everything that draws: dropout layers, noise, a Gaussian code; and a scheduled weight."""
    return model(
        seed=seed,
        network=mlp(8, dropout=0.3),
        latent=gaussian(3),
        noise=GaussianNoise(std=0.2),
        penalties={"kl": KL() if penalty is None else penalty},
        weights={"kl": weight(1.0, "linear", 1.5)},
    )


def single_steps(
    whole: Autoencoder,
    epochs: int,
    *,
    clip: float | None = None,
    optimizer: GradientDescent | None = None,
) -> list[dict[str, float]]:
    """The plain loop that training must equal: one batch at a time; returns each step's terms."""
    descent = (adam() if optimizer is None else optimizer)(whole.parameters())
    batches = Batches(Split(X), 8, shuffle=True, seed=0, chunk=1)
    generator, found, step = gen(), [], 0
    whole.train()
    for epoch in range(epochs):
        torch.manual_seed(epoch_seed(0, epoch))
        generator.manual_seed(epoch_seed(0, epoch))
        batches.set_epoch(epoch)
        for (batch,) in batches:
            terms = whole.terms(batch.x, generator, epoch=step / batches.steps, noisy=True)
            descent.zero_grad()
            terms.loss.backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(whole.parameters(), clip)
            descent.step()
            step += 1
            values = {"loss": terms.loss, **terms.values}
            found.append({name: float(value.detach()) for name, value in values.items()})
    return found


def equal(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
