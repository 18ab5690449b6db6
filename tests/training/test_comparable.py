"""What is compared between epochs: final weights, final targets, and no critic."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from aecore.data.batches import Batches
from aecore.data.module import ImageData
from aecore.evaluation.metrics.common import VALIDATION_STREAM
from aecore.model.autoencoder import Autoencoder
from aecore.model.comparable import comparable_loss
from aecore.model.penalties.adversarial import AdversarialPenalty
from aecore.model.penalties.capacity import Capacity
from aecore.model.penalties.factor import Factor
from aecore.model.penalties.kl import KL
from aecore.model.reconstruction.adversarial import AdversarialReconstruction
from aecore.runs.checkpoint import BEST, load
from aecore.training.generators import epoch_seed
from aecore.training.optimizers.schedulers import Plateau
from helpers.checkpoints import checkpointed, read
from helpers.models import adam, data, fit, gaussian, gen, images, mlp, model, weight
from helpers.training_loop import X

LR, EPOCHS, WARMUP, LAMBDA = 0.001, 4, 3.0, 30.0


def vae() -> Autoencoder:
    return model(
        network=mlp(8),
        latent=gaussian(3),
        penalties={"kl": KL()},
        weights={"kl": weight(LAMBDA, "linear", WARMUP)},
    )


def parts(whole: Autoencoder, x: Tensor, draws: torch.Generator) -> tuple[Tensor, Tensor]:
    """Squared error and closed-form KL, means over images, with one draw of each code."""
    p = whole.run(x, draws, noisy=False, sample=True)
    posterior = p.code.posterior
    assert posterior is not None
    mean, variance = posterior.mean, posterior.variance
    kl = 0.5 * (mean.square() + variance - variance.log() - 1).flatten(1).sum(1)
    error = whole.reconstruction(p.output, x)
    return error.mean(), kl.mean()


def plain_loop(whole: Autoencoder, module: ImageData) -> list[tuple[float, float]]:
    """Train with a moving weight; the validation loss with the final and with that weight."""
    module.setup("fit")
    assert module.val is not None
    val = module.val.pixels()
    batches = Batches(module.train, 8, shuffle=True, seed=0, chunk=1)
    descent, draws, step, losses = adam(LR)(whole.parameters()), gen(), 0, []
    for epoch in range(EPOCHS):
        draws.manual_seed(epoch_seed(0, epoch))
        batches.set_epoch(epoch)
        for (batch,) in batches:
            error, kl = parts(whole, batch.x, draws)
            descent.zero_grad()
            (error + LAMBDA * min(1.0, step / batches.steps / WARMUP) * kl).backward()
            descent.step()
            step += 1
        with torch.no_grad():
            error, kl = parts(whole, val, gen(VALIDATION_STREAM))
        moving = LAMBDA * min(1.0, (epoch + 1) / WARMUP)
        losses.append((float(error + LAMBDA * kl), float(error + moving * kl)))
    return losses


def test_epochs_are_compared_with_the_final_weight(tmp_path: Path) -> None:
    module = data(X, val_size=10)
    expected = plain_loop(vae(), data(X, val_size=10))
    checkpointed(vae(), tmp_path, EPOCHS, module=module, optimizer=adam(LR))
    rows = read(tmp_path)
    final, moving = zip(*expected, strict=True)
    assert [float(row["val/loss"]) for row in rows] == pytest.approx(final, rel=1e-5)
    assert [float(row["val/running_loss"]) for row in rows] == pytest.approx(moving, rel=1e-5)
    assert final.index(min(final)) != moving.index(min(moving)), "else this shows nothing"
    assert load(tmp_path / BEST)["epoch"] == final.index(min(final))


def test_a_growing_capacity_is_compared_with_its_final_target() -> None:
    penalty = Capacity(nats=20.0, epochs=10.0)
    whole = model(latent=gaussian(3), penalties={"target": penalty})
    training = fit(whole, data(X, val_size=10), epochs=2)
    found = training.val_mean.result("val")
    with torch.no_grad():
        module = data(X, val_size=10)
        module.setup("fit")
        assert module.val is not None
        error, kl = parts(whole, module.val.pixels(), gen(VALIDATION_STREAM))
    assert found["val/loss"] == pytest.approx(float(error + (kl - 20).abs()), rel=1e-5)
    assert found["val/running_loss"] == pytest.approx(float(error + (kl - 4).abs()), rel=1e-5)


def running_columns(whole: Autoencoder) -> bool:
    return "val/running_loss" in fit(whole, data(X, val_size=10), epochs=1).val_mean.result("val")


def test_a_loss_that_stays_has_no_second_column() -> None:
    assert not running_columns(model(latent=gaussian(3), penalties={"kl": KL()}))
    assert running_columns(vae())


def trained_critics(whole: Autoencoder) -> None:
    """Move the weights of the critics, and nothing else."""
    with torch.no_grad():
        for adversary in whole.adversaries.values():
            for p in adversary.critic.parameters():
                p.add_(0.3 * torch.randn(p.shape, generator=gen(5)))


@pytest.mark.parametrize("kind", ["penalty", "factor", "reconstruction"])
def test_what_a_critic_thinks_is_not_compared(kind: str) -> None:
    if kind == "reconstruction":
        judge = AdversarialReconstruction(
            realism=0.1, channels=[4], units=8, layer=1, critic_lr=1e-3
        )
        whole = model(latent=gaussian(3), penalties={"kl": KL()}, reconstruction=judge)
    elif kind == "factor":
        options = {"units": 8, "layers": 1, "critic_lr": 1e-3}
        whole = model(latent=gaussian(3), penalties={"kl": KL(), "tc": Factor(**options)})
    else:
        judge = AdversarialPenalty(units=8, layers=1, critic_lr=1e-3)
        whole = model(penalties={"match": judge})
    x = images(6, 1, 4, 4)

    def both() -> tuple[float, float]:
        terms = whole.terms(x, gen(3), epoch=float("inf"), noisy=False)
        return terms.loss.item(), comparable_loss(whole, x, terms).item()

    loss, compared = both()
    trained_critics(whole)
    later, still = both()
    assert later != loss
    assert still == compared
    with torch.no_grad():
        error = (whole.reconstruct(x) - x).square().flatten(1).sum(1).mean()
    if kind == "reconstruction":
        kl = whole.terms(x, gen(3), epoch=0, noisy=False).values["kl"]
        assert compared == pytest.approx((0.5 * error + kl).item(), rel=1e-5)


def test_plateau_follows_the_validation_loss(tmp_path: Path) -> None:
    """The training loss falls in every epoch, the validation loss of other images does not."""
    checkpointed(
        model(network=mlp(64), latent=gaussian(8)),
        tmp_path,
        30,
        module=data(images(40, 1, 4, 4), val_size=20),
        optimizer=adam(0.01),
        schedule=Plateau(patience=0, factor=0.5),
    )
    rows = read(tmp_path)
    losses = [float(row["val/loss"]) for row in rows]
    assert sum(late > early for early, late in pairwise(losses)) >= 2
    rates, best = [0.01], float("inf")
    for loss in losses:
        rates.append(rates[-1] * (1 if loss < best else 0.5))
        best = min(best, loss)
    assert [float(row["lr"]) for row in rows] == pytest.approx(rates[:-1])
