"""Training: chunks against single steps, resuming against going on, checkpoints, bad losses."""

from __future__ import annotations

import csv
import math
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from making import adam, contractive, conv, data, fit, gaussian, gen, images, mlp, model, weight
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from aecore.autoencoder import Autoencoder
from aecore.callbacks.checkpoint import (
    BEST,
    LAST,
    PREVIOUS,
    AtomicIO,
    Checkpoints,
    latest_good,
    load,
)
from aecore.callbacks.history import History, timing, to_csv
from aecore.data import Batches, ImageData, Split
from aecore.errors import NonFiniteLoss, UserError
from aecore.fitting import Stopping
from aecore.module import Mean, Training, check_finite, epoch_seed, with_weighted
from aecore.noise import Dropout
from aecore.noise import Gaussian as GaussianNoise
from aecore.optimizers import SGD, Constant, Cosine, Gradient, Plateau, Schedule, Step
from aecore.penalties import KL, L1
from aecore.reconstruction import Bernoulli, Gaussian

X = images(50, 1, 4, 4, seed=9)


def noisy_vae(seed: int = 0) -> Autoencoder:
    """Everything that draws: dropout layers, noise, a Gaussian code; and a scheduled weight."""
    return model(
        seed=seed,
        network=mlp(8, dropout=0.3),
        latent=gaussian(3),
        noise=GaussianNoise(std=0.2),
        penalties={"kl": KL()},
        weights={"kl": weight(1.0, "linear", 1.5)},
    )


def single_steps(
    whole: Autoencoder, epochs: int, *, clip: float | None = None, optimizer: Gradient | None = None
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


class Recorder(Callback):
    """Notes what each chunk left in `latest`, and the weights of the penalties."""

    def __init__(self) -> None:
        self.latest: list[dict[str, float]] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, Training)
        self.latest.append(pl_module.latest)


def equal(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


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
        whole = model(penalties={"l1": L1()}, weights={"l1": weight(7.0, "linear", 1)})
        training = fit(whole, data(X, chunk=3), epochs=1)
        assert training.weights_at(3 / training.steps_an_epoch) == pytest.approx({"l1": 3.0})
        single = model(penalties={"l1": L1()}, weights={"l1": weight(7.0, "linear", 1)})
        single_steps(single, 1)
        assert equal(single.state_dict(), whole.state_dict())

    def test_weighted_entries(self) -> None:
        entry = {"loss": 3.0, "reconstruction": 1.0, "kl": 4.0}
        assert with_weighted(entry, {"kl": 0.5}) == {**entry, "kl_weighted": 2.0}


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


def checkpointed(
    whole: Autoencoder,
    folder: Path,
    epochs: int,
    *,
    module: ImageData | None = None,
    resume: bool = False,
    callbacks: tuple[Callback, ...] = (),
    schedule: Schedule | None = None,
    **options: Any,
) -> Training:
    """A run with checkpoints and a history in the folder."""
    history = History(folder / "history.csv")
    return fit(
        whole,
        data(X, val_size=10) if module is None else module,
        epochs=epochs,
        schedule=schedule,
        callbacks=[history, Checkpoints(folder), *callbacks],
        ckpt_path=folder / LAST if resume else None,
        **options,
    )


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Every tensor and plain value of a checkpoint, by where it stands."""
    if isinstance(value, dict):
        found: dict[str, Any] = {}
        for key, part in value.items():
            found |= leaves(part, f"{path}/{key}")
        return found
    if isinstance(value, (list, tuple)):
        return leaves(dict(enumerate(value)), path)
    return {path: value}


def same_checkpoint(a: Path, b: Path) -> None:
    """Equal bit for bit but for times and Lightning's own counters of what ran since it started."""
    one, other = (leaves(load(path)) for path in (a, b))
    skip = ("seconds", "/loops/")
    names = [n for n in one if not any(word in n for word in skip)]
    assert names == [n for n in other if not any(word in n for word in skip)]
    for name in names:
        x, y = one[name], other[name]
        assert torch.equal(x, y) if isinstance(x, Tensor) else x == y, name
    assert any("exp_avg" in name for name in names)


class TestResume:
    @pytest.mark.parametrize(
        "schedule",
        [Constant(), Plateau(patience=0, factor=0.5), Step(epochs=3, factor=0.1)],
        ids=type,
    )
    def test_is_going_on(self, tmp_path: Path, schedule: Schedule) -> None:
        through, first, second = noisy_vae(), noisy_vae(), noisy_vae(seed=8)
        whole, parts = tmp_path / "whole", tmp_path / "parts"
        for folder in (whole, parts):
            folder.mkdir()
        descent = adam(0.3)  # large, so that the plateau is met
        checkpointed(through, whole, 6, schedule=schedule, optimizer=descent)
        checkpointed(first, parts, 3, schedule=schedule, optimizer=descent)
        assert not equal(first.state_dict(), through.state_dict())
        training = checkpointed(second, parts, 6, schedule=schedule, optimizer=descent, resume=True)
        assert equal(through.state_dict(), second.state_dict())
        assert training.step == 30 and load(parts / LAST)["step"] == 30
        same_checkpoint(whole / LAST, parts / LAST)
        same_checkpoint(whole / BEST, parts / BEST)
        rows = [read(folder) for folder in (whole, parts)]
        for row in (*rows[0], *rows[1]):
            del row["seconds"]
        assert rows[0] == rows[1] and len(rows[0]) == 6
        if not isinstance(schedule, Constant):
            assert float(rows[0][-1]["lr"]) < 0.3

    def test_cosine_knows_its_last_epoch(self, tmp_path: Path) -> None:
        """A cosine is made for a number of epochs: interrupted, not shortened, it goes on."""
        whole, parts = tmp_path / "whole", tmp_path / "parts"
        for folder in (whole, parts):
            folder.mkdir()
        through, first, second = noisy_vae(), noisy_vae(), noisy_vae(seed=8)
        checkpointed(through, whole, 6, schedule=Cosine(final=0.0))
        with pytest.raises(Broken):
            checkpointed(first, parts, 6, schedule=Cosine(final=0.0), callbacks=(Break(at=3),))
        assert load(parts / LAST)["epoch"] == 2
        checkpointed(second, parts, 6, schedule=Cosine(final=0.0), resume=True)
        same_checkpoint(whole / LAST, parts / LAST)

    def test_early_stopping_goes_on_waiting(self, tmp_path: Path) -> None:
        """Patience 4 that is spent half before and half after the break."""

        def stopping() -> Stopping:
            return Stopping(
                monitor="val/loss", patience=4, min_delta=1e3, check_on_train_epoch_end=True
            )

        whole, parts = tmp_path / "whole", tmp_path / "parts"
        for folder in (whole, parts):
            folder.mkdir()
        checkpointed(noisy_vae(), whole, 20, callbacks=(stopping(),))
        checkpointed(noisy_vae(), parts, 3, callbacks=(stopping(),))
        checkpointed(noisy_vae(8), parts, 20, callbacks=(stopping(),), resume=True)
        assert load(whole / LAST)["epoch"] == load(parts / LAST)["epoch"] == 4
        same_checkpoint(whole / LAST, parts / LAST)
        assert [state["stopped"] for state in load(parts / LAST)["callbacks"].values()
                if "stopped" in state] == [True]  # fmt: skip

    def test_the_best_score_is_remembered(self, tmp_path: Path) -> None:
        checkpointed(noisy_vae(), tmp_path, 3)
        best = (tmp_path / BEST).read_bytes()
        blown = SGD(lr=5.0, momentum=0.0, nesterov=False, weight_decay=0.0)
        state = load(tmp_path / LAST)
        state["optimizer_states"] = [{"state": {}, "param_groups": [
            {**blown(noisy_vae().parameters()).state_dict()["param_groups"][0]}]}]  # fmt: skip
        AtomicIO().save_checkpoint(state, tmp_path / LAST)
        checkpointed(noisy_vae(), tmp_path, 4, optimizer=blown, clip=1.0, resume=True)
        rows = read(tmp_path)
        assert float(rows[3]["val/loss"]) > min(float(row["val/loss"]) for row in rows[:3])
        assert (tmp_path / BEST).read_bytes() == best


class Broken(Exception):
    """The power is gone."""


class Break(Callback):
    """Ends a run as an epoch begins."""

    def __init__(self, at: int) -> None:
        self.at = at

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == self.at:
            raise Broken


def read(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


class TestCheckpoints:
    def test_hold_tensors_and_plain_values(self, tmp_path: Path) -> None:
        checkpointed(noisy_vae(), tmp_path, 2, schedule=Plateau(patience=1, factor=0.5))
        for name in (LAST, PREVIOUS, BEST):
            found = torch.load(tmp_path / name, weights_only=True)
            assert found["epoch"] == (0 if name == PREVIOUS else found["epoch"])
        assert load(tmp_path / LAST)["epoch"] == 1 and load(tmp_path / LAST)["step"] == 10
        assert {p.name for p in tmp_path.iterdir()} == {LAST, PREVIOUS, BEST, "history.csv"}

    def test_best_is_where_validation_was_lowest(self, tmp_path: Path) -> None:
        blown = SGD(lr=0.2, momentum=0.95, nesterov=False, weight_decay=0.0)
        checkpointed(noisy_vae(), tmp_path, 8, optimizer=blown, clip=1.0)
        losses = [float(row["val/loss"]) for row in read(tmp_path)]
        best = load(tmp_path / BEST)
        assert best["epoch"] == losses.index(min(losses))

    def test_weights_are_those_of_the_model(self, tmp_path: Path) -> None:
        whole = noisy_vae()
        checkpointed(whole, tmp_path, 2)
        state = load(tmp_path / LAST)["state_dict"]
        assert equal(state, {f"autoencoder.{k}": v for k, v in whole.state_dict().items()})

    def test_without_validation_there_is_no_best(self, tmp_path: Path) -> None:
        checkpointed(noisy_vae(), tmp_path, 2, module=data(X))
        assert not (tmp_path / BEST).exists() and (tmp_path / LAST).exists()

    def test_the_newest_readable_is_used(self, tmp_path: Path) -> None:
        assert latest_good(tmp_path) is None
        for step in (1, 2):
            AtomicIO().save_checkpoint(
                {"state_dict": {}, "step": step, "epoch": 0}, tmp_path / LAST
            )
        found = latest_good(tmp_path)
        assert found is not None and found[0].name == LAST and found[1]["step"] == 2
        for size in (0, 1, 100, (tmp_path / LAST).stat().st_size - 1):
            os.truncate(tmp_path / LAST, size)
            found = latest_good(tmp_path)
            assert found is not None and found[0].name == PREVIOUS and found[1]["step"] == 1
            (tmp_path / LAST).unlink()
            AtomicIO().save_checkpoint({"state_dict": {}, "step": 2, "epoch": 0}, tmp_path / LAST)
        os.truncate(tmp_path / LAST, 10)
        os.truncate(tmp_path / PREVIOUS, 10)
        with pytest.raises(UserError, match=str(tmp_path / LAST)):
            latest_good(tmp_path)

    def test_last_is_enough(self, tmp_path: Path) -> None:
        checkpointed(noisy_vae(), tmp_path, 2)
        (tmp_path / LAST).unlink()
        found = latest_good(tmp_path)
        assert found is not None and found[0].name == PREVIOUS and found[1]["epoch"] == 0

    def test_a_failing_write_leaves_what_was_there(self, tmp_path: Path) -> None:
        io = AtomicIO()
        io.save_checkpoint({"state_dict": {}, "step": 1, "epoch": 0}, tmp_path / LAST)
        with pytest.raises((AttributeError, TypeError, pickle.PicklingError)):
            io.save_checkpoint({"state_dict": {}, "step": 2, "bad": lambda: 0}, tmp_path / LAST)
        assert load(tmp_path / LAST)["step"] == 1
        assert [p.name for p in tmp_path.iterdir()] == [LAST]


class Bomb:
    """A pickle that makes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.path),))


class TestForeignFiles:
    @pytest.mark.parametrize(
        "kind",
        ["pickle", "torch", "empty", "text", "zip", "tensors", "list", "lightning", "folder"],
    )
    def test_are_refused_and_not_run(self, tmp_path: Path, kind: str) -> None:
        path, mark = tmp_path / LAST, tmp_path / "executed"
        if kind == "pickle":
            path.write_bytes(pickle.dumps(Bomb(mark)))
        elif kind == "torch":
            torch.save({"state_dict": {}, "step": 1, "epoch": 1, "x": Bomb(mark)}, path)
        elif kind == "zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("archive/data.pkl", pickle.dumps(Bomb(mark)))
        elif kind == "tensors":
            torch.save({"weight": torch.zeros(3)}, path)
        elif kind == "list":
            torch.save([torch.zeros(3)], path)
        elif kind == "lightning":
            torch.save({"state_dict": {}, "epoch": 1, "global_step": 3, "loops": {}}, path)
        elif kind == "folder":
            path.mkdir()
        else:
            path.write_bytes(b"" if kind == "empty" else b"no checkpoint at all\n")
        with pytest.raises(UserError) as raised:
            load(path)
        assert str(raised.value).startswith(str(path)) and str(raised.value).count("\n") <= 2
        assert not mark.exists()
        if kind != "folder":
            with pytest.raises(UserError, match=str(path)):
                fit(noisy_vae(), data(X), epochs=1, ckpt_path=path)
        assert not mark.exists()

    def test_a_missing_one(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="no such checkpoint"):
            load(tmp_path / LAST)


class Poison(Callback):
    """Makes one weight NaN as a step or an epoch begins or ends."""

    def __init__(self, epoch: int, when: str) -> None:
        self.epoch, self.when = epoch, when

    def _act(self, trainer: Trainer, pl_module: LightningModule, when: str) -> None:
        if (trainer.current_epoch, when) == (self.epoch, self.when):
            with torch.no_grad():
                next(pl_module.parameters()).fill_(float("nan"))

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._act(trainer, pl_module, "start")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._act(trainer, pl_module, f"after {batch_idx}")


class TestNonFinite:
    def test_names_the_first_bad_step(self) -> None:
        """With this rate errors grow without end; the plain loop says when they are no numbers."""
        blown = SGD(lr=0.12, momentum=0.0, nesterov=False, weight_decay=0.0)
        slow, fast = model(network=mlp(activation=None)), model(network=mlp(activation=None))
        steps = single_steps(slow, 40, optimizer=blown)
        first = next(i for i, s in enumerate(steps) if not math.isfinite(s["loss"])) + 1
        assert first > 3  # not in the first chunk
        with pytest.raises(NonFiniteLoss) as raised:
            fit(fast, data(X, chunk=3), epochs=40, optimizer=blown)
        value = "NaN" if math.isnan(steps[first - 1]["reconstruction"]) else "infinite"
        assert str(raised.value).startswith(f"reconstruction became {value} at step {first};")

    def test_names_the_term(self) -> None:
        rows = torch.tensor([[1.0, 1.0, 1.0], [3.0, 1.0, 2.0], [float("inf"), 1.0, float("inf")]])
        with pytest.raises(NonFiniteLoss, match=r"^kl became infinite at step 13;"):
            check_finite(rows.numpy(), ["loss", "reconstruction", "kl"], 10)
        rows[1] = torch.tensor([float("nan"), float("nan"), 1.0])
        with pytest.raises(NonFiniteLoss, match=r"^reconstruction became NaN at step 12;"):
            check_finite(rows.numpy(), ["loss", "reconstruction", "kl"], 10)
        check_finite(rows[:1].numpy(), ["loss", "reconstruction", "kl"], 10)

    def test_an_infinite_pixel(self) -> None:
        x = X.clone()
        x[3, 0, 1, 1] = float("inf")
        with pytest.raises(NonFiniteLoss, match=r"^reconstruction became"):
            fit(model(), data(x, range="standardised"), epochs=1)

    @pytest.mark.parametrize("validate", [True, False])
    @pytest.mark.parametrize("when", ["start", "after 1", "after 2"])
    def test_no_checkpoint_is_written_after_it(
        self, tmp_path: Path, when: str, validate: bool
    ) -> None:
        """`after 2` is the last chunk of an epoch: its own losses were all finite."""
        module = data(X, val_size=10 if validate else 0, chunk=2 if validate else 3)
        assert len(module.train_dataloader()) == 3
        with pytest.raises(NonFiniteLoss, match="became"):
            checkpointed(noisy_vae(), tmp_path, 4, module=module, callbacks=(Poison(2, when),))
        for name, epoch in ((LAST, 1), (PREVIOUS, 0)):
            found = load(tmp_path / name)
            assert found["epoch"] == epoch
            assert all(bool(v.isfinite().all()) for v in found["state_dict"].values())


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

    def test_csv_keeps_late_columns(self) -> None:
        assert to_csv([{"a": 1.0}, {"a": 2.0, "b": 0.1}]) == "a,b\n1.0,\n2.0,0.1\n"


class Kept(History):
    """A history in memory alone."""

    def __init__(self) -> None:
        super().__init__(Path("unused"))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Training)
        self.rows.append(pl_module.train_mean.result("train"))


def test_a_learned_scale_is_the_error_in_training() -> None:
    """Rybkin et al. 2021: with everything else converged, sigma^2 is the mean squared error."""
    whole = model(reconstruction=Gaussian(scale="learned"))
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
