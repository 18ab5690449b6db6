"""Accumulation, warm-up, averages, loss scaling and augmentation against a loop written by hand."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from aecore.data.augmentations.base import Augment
from aecore.data.augmentations.rotate import Rotate
from aecore.data.augmentations.shift import Translate
from aecore.data.batches import Batches
from aecore.data.split import Split
from aecore.model.autoencoder import Autoencoder
from aecore.model.latents.vq import VQ
from aecore.model.penalties.adversarial import AdversarialPenalty
from aecore.runs.checkpoint import BEST, LAST, load
from aecore.training.averaging import TRAINED, WeightAverage
from aecore.training.descent import Descent
from aecore.training.generators import epoch_seed
from aecore.training.optimizers.by_name import Torch
from aecore.training.optimizers.gradient import SGD, GradientDescent
from aecore.training.optimizers.schedulers import Constant, Cosine, Plateau, Schedule, Step
from helpers.checkpoints import checkpointed, read
from helpers.models import adam, conv, data, fit, gen, mlp, model
from helpers.training_loop import X, equal, noisy_vae

State = dict[str, Tensor]


def augment(input_only: bool = False) -> Augment:
    changes = Translate(pixels=1, padding="edge"), Rotate(degrees=20.0, padding="edge")
    return Augment({"shift": changes[0], "rotate": changes[1]}, input_only)


def adversarial(seed: int = 0) -> Autoencoder:
    """With a critic, which has parameters and a learning rate of its own."""
    penalty = AdversarialPenalty(units=4, layers=1, critic_lr=1e-2)
    return model(seed=seed, network=mlp(8, dropout=0.3), penalties={"adversarial": penalty})


def by_hand(
    whole: Autoencoder,
    epochs: int,
    *,
    size: int = 8,
    accumulate: int = 1,
    warm: int = 0,
    clip: float | None = None,
    ema: float | None = None,
    augmented: Augment | None = None,
    optimizer: GradientDescent | None = None,
) -> State:
    """Train in a plain loop, a group of batches at a time; returns the averages, {} without.

    warm: steps of the optimizer with a growing learning rate.
    """
    descent = (optimizer or adam())(whole.parameter_groups())
    rates = [group["lr"] for group in descent.param_groups]
    loader = Batches(Split(X), size, shuffle=True, seed=0, chunk=1)
    generator, averages, step, made = gen(), dict[str, Tensor](), 0, 0
    whole.train()
    for epoch in range(epochs):
        torch.manual_seed(epoch_seed(0, epoch))
        generator.manual_seed(epoch_seed(0, epoch))
        loader.set_epoch(epoch)
        batches = [batch for (batch,) in loader]
        for first in range(0, len(batches), accumulate):
            group = batches[first : first + accumulate]
            count = sum(len(batch.x) for batch in group)
            descent.zero_grad()
            for batch in group:
                if augmented is not None:
                    batch = augmented(batch, generator)
                terms = whole.terms(
                    batch.x, generator, epoch=step / len(batches), noisy=True, target=batch.target
                )
                loss = terms.loss + sum(terms.critics.values())
                (loss if accumulate == 1 else loss * (len(batch.x) / count)).backward()
                step += 1
            if clip is not None:
                for parameters in descent.param_groups:
                    torch.nn.utils.clip_grad_norm_(parameters["params"], clip)
            made += 1
            for parameters, rate in zip(descent.param_groups, rates, strict=True):
                parameters["lr"] = rate * min(made / warm, 1) if warm else rate
            descent.step()
            if ema is not None:
                for name, value in whole.state_dict().items():
                    if made == 1 or not value.is_floating_point():
                        averages[name] = value.clone()
                    else:
                        averages[name] = ema * averages[name] + (1 - ema) * value
    return averages


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # of our training, and by hand
    "accumulated": ({"accumulate": 3}, {"accumulate": 3}),
    "whole epochs": ({"accumulate": 7, "clip": 0.05}, {"accumulate": 7, "clip": 0.05}),
    "warmed up": ({"warmup": 1.5}, {"warm": 11}),  # of 7 steps an epoch, 10.5
    "augmented": ({"augment": augment()}, {"augmented": augment()}),
    "input only": ({"augment": augment(True)}, {"augmented": augment(True)}),
    "averaged": ({"ema": 0.7}, {"ema": 0.7}),
    "all": (
        {"accumulate": 2, "warmup": 0.6, "augment": augment(), "ema": 0.5, "clip": 0.2},
        {"accumulate": 2, "warm": 3, "augmented": augment(), "ema": 0.5, "clip": 0.2},
    ),
}


class TestByHand:
    @pytest.mark.parametrize("make", [noisy_vae, adversarial])
    @pytest.mark.parametrize("case", CASES)
    def test_every_step_is_the_same(self, case: str, make: Any) -> None:
        ours, plain = CASES[case]
        fast, slow = make(), make()
        averages = by_hand(slow, 2, **plain)
        training = fit(fast, data(X, chunk=3), epochs=2, **ours)
        assert training.step == 14 and equal(fast.state_dict(), slow.state_dict())
        if averages:
            found = training.evaluated.state_dict()
            assert found.keys() == averages.keys() and not equal(found, fast.state_dict())
            for name, value in averages.items():
                assert torch.allclose(found[name], value, rtol=1e-5, atol=1e-6), name

    @pytest.mark.parametrize("case", CASES)
    def test_every_case_is_another_training(self, case: str) -> None:
        """Of the averaged weights, which the training leaves alone, in that of the averages."""
        usual, changed = noisy_vae(), noisy_vae()
        by_hand(usual, 2)
        averages = by_hand(changed, 2, **CASES[case][1])
        assert not equal(usual.state_dict(), averages or changed.state_dict())

    @pytest.mark.parametrize("clip", [None, 0.5])
    def test_accumulated_batches_are_one_batch(self, clip: float | None) -> None:
        """Also the last one: 50 images are six batches of 8 and one of 2, or 24, 24 and 2."""
        options = {"optimizer": SGD(lr=0.01, momentum=0.9, nesterov=False, weight_decay=0.0)}
        parts, joined = model(), model()
        fit(parts, data(X), epochs=3, accumulate=3, clip=clip, **options)
        fit(joined, data(X, batch_size=24), epochs=3, clip=clip, **options)
        start = model().state_dict()
        for name, value in joined.state_dict().items():
            assert torch.allclose(parts.state_dict()[name], value, atol=1e-6), name
            assert name in ("shift", "scale") or not torch.allclose(start[name], value, atol=1e-3)

    def test_averages_of_a_codebook(self) -> None:
        """Its vectors are buffers, which follow the codes of the encoder and may be restarted."""

        def make() -> Autoencoder:
            entries = {"codebook_size": 5, "dim": 2, "tokens": 2, "commitment": 0.2}
            return model(latent=VQ(**entries, update="ema", decay=0.9, restart_below=0.1), seed=1)

        averages = by_hand(make(), 2, ema=0.7)
        found = fit(make(), data(X), epochs=2, ema=0.7).evaluated.state_dict()
        assert any("vectors" in name for name in found)
        for name, value in averages.items():
            assert torch.allclose(found[name], value, rtol=1e-5, atol=1e-6), name


class TestWarmUp:
    def rates(
        self, folder: Path, warmup: float, schedule: Schedule, epochs: int, **options: Any
    ) -> list[float]:
        """The learning rate at the end of each epoch of five steps, from 1e-3."""
        checkpointed(model(), folder, epochs, schedule=schedule, warmup=warmup, **options)
        return [1e3 * float(row["lr"]) for row in read(folder)]

    def test_constant(self, tmp_path: Path) -> None:
        assert self.rates(tmp_path, 2.5, Constant(), 4) == pytest.approx([5 / 13, 10 / 13, 1, 1])

    @pytest.mark.parametrize("schedule", [Step(epochs=1, factor=0.5), Cosine(final=0.0)])
    def test_then_the_schedule_as_it_is_alone(self, tmp_path: Path, schedule: Schedule) -> None:
        for name in ("warm", "alone"):
            (tmp_path / name).mkdir()
        warm = self.rates(tmp_path / "warm", 2, schedule, 6)
        alone = self.rates(tmp_path / "alone", 0, schedule, 4)
        assert warm == pytest.approx([0.5, 1.0, *alone]) and alone[-1] < alone[0] == 1

    def test_a_schedule_begins_in_the_epoch_in_which_it_ends(self, tmp_path: Path) -> None:
        found = self.rates(tmp_path, 1.2, Step(epochs=1, factor=0.5), 4)
        assert found == pytest.approx([5 / 6, 1, 0.5, 0.25])

    def test_a_plateau_does_not_wait_in_it(self, tmp_path: Path) -> None:
        found = self.rates(
            tmp_path, 3, Plateau(patience=0, factor=0.5), 5, optimizer=adam(1e-3), accumulate=5
        )
        assert found[:3] == pytest.approx([1 / 3, 2 / 3, 1])

    @pytest.mark.parametrize(("accumulate", "expected"), [(1, 14), (2, 8), (7, 2)])
    def test_counts_steps_of_the_optimizer(self, accumulate: int, expected: int) -> None:
        """Two epochs of seven mini-batches."""
        parameter = torch.nn.Parameter(torch.zeros(1))
        optimizer, found = torch.optim.SGD([parameter], lr=0.0), []
        descent = Descent(accumulate, None, 2)
        for step in range(21):
            within = step % 7
            if (within + 1) % accumulate == 0 or within == 6:
                descent.set_rates(optimizer, [3.0], step, 7)
                found.append(optimizer.param_groups[0]["lr"])
        ramp = [3 * (t + 1) / expected for t in range(expected)]
        assert found == pytest.approx([*ramp, *[3.0] * (len(found) - expected)])


class TestAverages:
    def test_are_those_of_torch(self) -> None:
        whole = noisy_vae()
        ours = WeightAverage(whole, 0.8)
        theirs = AveragedModel(whole, multi_avg_fn=get_ema_multi_avg_fn(0.8))
        for _ in range(4):
            with torch.no_grad():
                for parameter in whole.parameters():
                    parameter.add_(torch.randn(parameter.shape))
            ours.update(whole)
            theirs.update_parameters(whole)
        assert equal(ours.model.state_dict(), theirs.module.state_dict())

    def test_statistics_are_averaged_and_counts_copied(self) -> None:
        whole = model(network=conv(3, norm="batch"))
        fit(whole, data(X), epochs=1)
        before = {name: value.clone() for name, value in whole.state_dict().items()}
        average = WeightAverage(whole, 0.75)
        average.update(whole)
        whole.train().terms(2 * X, None, epoch=0, noisy=False)
        average.update(whole)
        found, after = average.model.state_dict(), whole.state_dict()
        means = [n for n in found if n.endswith("running_mean")]
        counts = [n for n in found if n.endswith("num_batches_tracked")]
        assert means and counts
        for name in means:
            assert not torch.equal(before[name], after[name])
            assert torch.allclose(found[name], 0.75 * before[name] + 0.25 * after[name])
        for name in counts:
            assert found[name] == after[name] == before[name] + 1

    def test_are_validated_and_saved_and_the_best_ones_kept(self, tmp_path: Path) -> None:
        whole, module = noisy_vae(), data(X, val_size=10)
        training = checkpointed(whole, tmp_path, 3, module=module, ema=0.9)
        averages = training.evaluated
        assert module.val is not None
        with torch.no_grad():
            loss = averages.terms(module.val.pixels(), gen(), epoch=1e9, noisy=False).loss
        assert 0 < abs(float(read(tmp_path)[-1]["val/loss"]) - float(loss)) < 0.5
        state = load(tmp_path / LAST)
        prefixed = {f"autoencoder.{k}": v for k, v in averages.state_dict().items()}
        assert equal(state["state_dict"], prefixed) and equal(state[TRAINED], whole.state_dict())
        assert TRAINED in load(tmp_path / BEST)


class TestFloat16:
    """On the CPU, where torch has everything of it but the speed."""

    @staticmethod
    def scaler(scale: float = 2.0**30) -> torch.amp.GradScaler:
        """Of a scale that is too large at first, and grows after three steps."""
        return torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=3)

    @pytest.mark.parametrize("clip", [None, 0.5])
    @pytest.mark.parametrize("optimizer", [adam(), Torch(name="NAdam", lr=1e-3, options={})])
    def test_steps_are_those_of_a_loop_by_hand(
        self, optimizer: GradientDescent, clip: float | None
    ) -> None:
        fast, slow, scaler, ours = noisy_vae(), noisy_vae(), self.scaler(), self.scaler()
        descent, step = optimizer(slow.parameter_groups()), 0
        loader, generator = Batches(Split(X), 8, shuffle=True, seed=0, chunk=1), gen()
        scales, norms = [], []
        for epoch in range(3):
            torch.manual_seed(epoch_seed(0, epoch))
            generator.manual_seed(epoch_seed(0, epoch))
            loader.set_epoch(epoch)
            for (batch,) in loader:
                with torch.autocast("cpu", torch.float16, cache_enabled=False):
                    loss = slow.terms(batch.x, generator, epoch=step / 7, noisy=True).loss
                descent.zero_grad()
                scaler.scale(loss).backward()
                scales.append(scaler.get_scale())
                if clip is not None:
                    scaler.unscale_(descent)
                    norms.append(torch.nn.utils.clip_grad_norm_(slow.parameters(), clip))
                scaler.step(descent)
                scaler.update()
                step += 1
        fit(
            fast, data(X, chunk=3), epochs=3, optimizer=optimizer, clip=clip,
            precision="16-mixed", scaler=ours,
        )  # fmt: skip
        assert equal(fast.state_dict(), slow.state_dict())
        assert scaler.state_dict() == ours.state_dict()
        jumps = [b / a for a, b in pairwise(scales)]
        assert 0.5 in jumps and 2.0 in jumps  # steps were left out, and the scale grew again

    def test_is_near_the_training_in_float32(self) -> None:
        single, half = model(), model()
        fit(single, data(X), epochs=2)
        fit(half, data(X), epochs=2, precision="16-mixed", scaler=self.scaler(2.0**8))
        with torch.no_grad():
            losses = [
                float(one.terms(X, None, epoch=0, noisy=False).loss) for one in (single, half)
            ]
        assert not equal(single.state_dict(), half.state_dict())
        assert losses[0] == pytest.approx(losses[1], rel=0.01)
