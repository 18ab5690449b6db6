"""Training: chunks against single steps, clipping, weights, validation and the history."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from aecore.data.module import ImageData
from aecore.model.autoencoder import Autoencoder
from aecore.model.noise.noises import Dropout
from aecore.model.penalties.kl import KL
from aecore.model.penalties.l1 import L1Penalty
from aecore.model.reconstruction.bernoulli import Bernoulli
from aecore.model.reconstruction.gaussian import GaussianLikelihood
from aecore.runs.folder import HISTORY, write_history
from aecore.training.callbacks.history import History
from aecore.training.generators import epoch_seed
from aecore.training.module import Training
from aecore.training.optimizers.gradient import SGD
from aecore.training.optimizers.schedulers import Cosine, Plateau, Step
from aecore.training.running_mean import Mean
from aecore.training.timing import timing
from helpers.checkpoints import checkpointed, read
from helpers.models import adam, contractive, conv, data, fit, gaussian, mlp, model, weight
from helpers.training_loop import X, equal, noisy_vae, single_steps


class Recorder(Callback):
    """Notes what each chunk left in `latest`, and the weights of the penalties."""

    def __init__(self) -> None:
        self.latest: list[dict[str, float]] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, Training)
        self.latest.append(pl_module.latest)


class TestChunks:
    @pytest.mark.parametrize("chunk", [1, 3, 50])
    def test_are_single_steps(self, chunk: int) -> None:
        slow, fast = noisy_vae(), noisy_vae()
        start = {k: v.clone() for k, v in fast.state_dict().items()}
        expected = single_steps(slow, 3)
        recorder = Recorder()
        fit(fast, data(X, chunk=chunk), epochs=3, callbacks=[recorder])
        assert equal(slow.state_dict(), fast.state_dict())
        assert not equal(start, fast.state_dict())
        if chunk == 1:
            assert recorder.latest == expected
        means = []
        for epoch in range(3):
            steps = expected[7 * epoch : 7 * epoch + 7]
            parts = [steps[i : i + chunk] for i in range(0, 7, chunk)]
            means += [{n: sum(s[n] for s in part) / len(part) for n in part[0]} for part in parts]
        assert len(recorder.latest) == len(means)
        for found, mean in zip(recorder.latest, means, strict=True):
            assert found == pytest.approx(mean, rel=1e-5)

    def test_epoch_means_count_images(self) -> None:
        """50 images in batches of 8: the last has 2, and counts as 2."""
        slow, fast = noisy_vae(), noisy_vae()
        steps = single_steps(slow, 2)
        training = fit(fast, data(X), epochs=2)
        sizes = [8] * 6 + [2]
        for name in ("loss", "reconstruction", "kl"):
            mean = sum(s[name] * n for s, n in zip(steps[7:], sizes, strict=True)) / 50
            assert training.train_mean.result("train")[f"train/{name}"] == pytest.approx(mean)
        assert training.train_mean.images == 50 and training.step == 14

    def test_another_seed_is_another_run(self) -> None:
        a, b, c = noisy_vae(), noisy_vae(), noisy_vae()
        for whole, seed in ((a, 0), (b, 0), (c, 1)):
            fit(whole, data(X), epochs=1, seed=seed)
        assert equal(a.state_dict(), b.state_dict()) and not equal(a.state_dict(), c.state_dict())

    def test_the_global_seed_does_not_matter(self) -> None:
        a, b = noisy_vae(), noisy_vae()
        for whole, seed in ((a, 5), (b, 6)):
            torch.manual_seed(seed)
            fit(whole, data(X), epochs=1)
        assert equal(a.state_dict(), b.state_dict())

    def test_validation_changes_nothing(self) -> None:
        """The same train images with and without validation images to be measured on."""
        whole = noisy_vae()
        module = data(torch.cat([X, X[:10]]), val_size=10)
        fit(whole, module, epochs=2)
        again = noisy_vae()
        fit(again, data(module.train.images), epochs=2)
        assert equal(whole.state_dict(), again.state_dict())

    def test_epoch_seeds_differ(self) -> None:
        seeds = {epoch_seed(s, e, r) for s in range(5) for e in range(20) for r in range(3)}
        assert len(seeds) == 300 and all(0 <= s < 2**63 for s in seeds)

    def test_mixed_precision_is_near(self) -> None:
        found = []
        for precision in ("32-true", "bf16-mixed"):
            whole = noisy_vae()
            training = fit(whole, data(X, val_size=10), epochs=2, precision=precision)
            assert training.step == 10 and next(whole.parameters()).dtype == torch.float32
            found.append(training.val_mean.result("val")["val/loss"])
        assert found[0] != found[1] == pytest.approx(found[0], rel=0.02)


class TestClipping:
    @pytest.mark.parametrize("clip", [1e-3, 1e3, None])
    def test_the_step_is_as_long_as_the_clipped_gradient(self, clip: float | None) -> None:
        whole = model()
        before = torch.cat([p.detach().flatten() for p in whole.parameters()])
        sgd = SGD(lr=1.0, momentum=0.0, nesterov=False, weight_decay=0.0)
        batch = data(X[:8])
        whole.terms(X[:8], None, epoch=0, noisy=True).loss.backward()
        norm = float(
            torch.cat([p.grad.flatten() for p in whole.parameters() if p.grad is not None]).norm()
        )
        fit(whole, batch, epochs=1, optimizer=sgd, clip=clip)
        after = torch.cat([p.detach().flatten() for p in whole.parameters()])
        expected = norm if clip is None else min(norm, clip)
        assert 1e-2 < norm < 1e2
        assert float((after - before).norm()) == pytest.approx(expected, rel=1e-4)

    def test_clipped_chunks_are_clipped_single_steps(self) -> None:
        slow, fast = noisy_vae(), noisy_vae()
        single_steps(slow, 1, clip=0.1)
        fit(fast, data(X, chunk=3), epochs=1, clip=0.1)
        assert equal(slow.state_dict(), fast.state_dict())


class TestWeights:
    def test_follow_the_step(self) -> None:
        """`kl_weighted` over `kl` is the weight: the schedule at step / steps an epoch."""
        whole = model(
            latent=gaussian(3), penalties={"kl": KL()}, weights={"kl": weight(4.0, "linear", 2)}
        )
        rows = TestHistory.rows(whole, data(X[:8], batch_size=8, val_size=0), epochs=4)
        factors = [row["train/kl_weighted"] / row["train/kl"] for row in rows]
        assert factors == pytest.approx([0, 2, 4, 4])

    def test_within_an_epoch(self) -> None:
        whole = model(penalties={"l1": L1Penalty()}, weights={"l1": weight(7.0, "linear", 1)})
        training = fit(whole, data(X, chunk=3), epochs=1)
        entry = training.with_weighted({"loss": 1.0, "l1": 2.0}, 3 / training.steps_an_epoch)
        assert entry == pytest.approx({"loss": 1.0, "l1": 2.0, "l1_weighted": 6.0})
        single = model(penalties={"l1": L1Penalty()}, weights={"l1": weight(7.0, "linear", 1)})
        single_steps(single, 1)
        assert equal(single.state_dict(), whole.state_dict())


class TestMean:
    def test_over_images(self) -> None:
        mean = Mean()
        mean.add({"a": 1.0}, 3)
        mean.add({"a": 5.0}, 1)
        assert mean.result("x") == {"x/a": 2.0} and Mean().result("x") == {}


class TestValidation:
    def test_is_the_mean_over_images_without_noise(self) -> None:
        whole = model(noise=Dropout(p=0.9), network=mlp(8, dropout=0.9))
        module = data(X, val_size=21)
        training = fit(whole, module, epochs=2)
        assert module.val is not None
        with torch.no_grad():
            loss = whole.eval().terms(module.val.pixels(), None, epoch=0, noisy=False).loss
        assert training.val_mean.result("val")["val/loss"] == pytest.approx(float(loss))
        assert training.val_mean.images == 21

    @pytest.mark.parametrize("method", ["auto", "exact", "estimate"])
    def test_of_a_contractive_model(self, method: str) -> None:
        whole = model(network=conv(3), penalties={"contractive": contractive(method)})
        training = fit(whole, data(X, val_size=10), epochs=1)
        assert training.val_mean.result("val")["val/contractive"] > 0

    def test_two_runs_validate_alike(self) -> None:
        results = [
            fit(noisy_vae(), data(X, val_size=10), epochs=1).val_mean.result("val") for _ in "ab"
        ]
        assert results[0] == results[1]


class TestHistory:
    @staticmethod
    def rows(whole: Autoencoder, module: ImageData, epochs: int) -> list[dict[str, float]]:
        history = Kept()
        fit(whole, module, epochs=epochs, callbacks=[history])
        return history.rows

    def test_one_row_an_epoch(self, tmp_path: Path) -> None:
        checkpointed(noisy_vae(), tmp_path, 3, schedule=Step(epochs=1, factor=0.5))
        rows = [{k: float(v) for k, v in row.items()} for row in read(tmp_path)]
        assert [row["epoch"] for row in rows] == [1, 2, 3]
        assert [row["step"] for row in rows] == [5, 10, 15]
        assert [row["lr"] for row in rows] == pytest.approx([1e-3, 5e-4, 2.5e-4])
        assert all(row["images"] == 40 and row["seconds"] > 0 for row in rows)
        for row in rows:
            for split in ("train", "val"):
                parts = row[f"{split}/reconstruction"] + row[f"{split}/kl_weighted"]
                assert row[f"{split}/loss"] == pytest.approx(parts, rel=1e-4)

    def test_timing(self) -> None:
        rows = [{"images": 10.0, "seconds": 9.0}, {"images": 10.0, "seconds": 1.0},
                {"images": 10.0, "seconds": 4.0}]  # fmt: skip
        assert timing(rows) == {"train/seconds": 14.0, "train/images_per_second": 4.0}
        assert timing(rows[:1])["train/images_per_second"] == pytest.approx(10 / 9)
        assert timing([]) == {}

    def test_a_plateau_is_one_of_the_validation_loss(self, tmp_path: Path) -> None:
        """Which rises and falls otherwise than the training loss where steps are too long."""
        plateau = Plateau(patience=0, factor=0.9)
        checkpointed(model(), tmp_path, 12, optimizer=adam(0.3), schedule=plateau)
        rows = [{k: float(v) for k, v in row.items()} for row in read(tmp_path)]

        def rates(name: str) -> list[float]:
            """In each epoch, where that loss decides: lower where the last was not the best."""
            losses = [row[name] for row in rows]
            worse = [losses[i] > min(losses[: i + 1]) for i in range(len(losses))]
            return [0.3 * 0.9 ** sum(worse[:i]) for i in range(len(losses))]

        found = [row["lr"] for row in rows]
        assert found == pytest.approx(rates("val/loss"))
        assert found != pytest.approx(rates("train/loss"))

    def test_csv_keeps_late_columns(self, tmp_path: Path) -> None:
        write_history(tmp_path, [{"a": 1.0}, {"a": 2.0, "b": 0.1}])
        assert (tmp_path / HISTORY).read_text() == "a,b\n1.0,\n2.0,0.1\n"


class Kept(History):
    """A history in memory alone."""

    def __init__(self) -> None:
        super().__init__(Path("unused"))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Training)
        self.rows.append(pl_module.train_mean.result("train"))


def test_a_learned_scale_is_the_error_in_training() -> None:
    """Rybkin et al. 2021: with everything else converged, sigma^2 is the mean squared error."""
    whole = model(reconstruction=GaussianLikelihood(scale="learned"))
    fit(
        whole, data(X, batch_size=50), epochs=1500, optimizer=adam(0.01), schedule=Cosine(final=0.0)
    )
    with torch.no_grad():
        mse = float((whole.reconstruct(X) - X).square().mean())
        learned = float(whole.reconstruction.log_scale.exp()) ** 2
    assert mse < 0.06 and learned == pytest.approx(mse, rel=0.02)


def test_stochastic_targets_are_drawn_from_the_run_s_seed() -> None:
    a, b = (model(reconstruction=Bernoulli(targets="stochastic", threshold=0.5)) for _ in "ab")
    fit(a, data(X, chunk=2), epochs=2)
    single_steps(b, 2)
    assert equal(a.state_dict(), b.state_dict())
