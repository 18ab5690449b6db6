"""Whatever stands in a part of a checkpoint: it is refused in two lines, or training continues."""

from __future__ import annotations

import math
import os
import random
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from aecore.data.module import ImageData
from aecore.errors import NonFiniteError, UserError
from aecore.model.autoencoder import Autoencoder
from aecore.runs.checkpoint import LAST, load
from aecore.training.callbacks.early_stopping import ResumableEarlyStopping
from aecore.training.checkpoint_parts import checked
from aecore.training.optimizers.gradient import SGD, GradientDescent
from aecore.training.optimizers.schedulers import Cosine, Plateau, Schedule, Step
from aecore.training.setup import Experiment
from helpers.checkpoints import Break, Broken, checkpointed, leaves, read
from helpers.damage import replaced, trees, without
from helpers.models import adam, conv, data, gaussian, images, model, trainer_options
from helpers.training_loop import noisy_vae

EPOCHS = 3
SHARE = float(os.environ.get("AECORE_FUZZ", "0.1"))  # of all changes that are tried


def module() -> ImageData:
    """Six mini-batches in three chunks."""
    return data(images(53, 1, 4, 4, seed=9), val_size=11, chunk=2)


def normed(seed: int = 0) -> Autoencoder:
    """With counts and running means among its weights."""
    return model(seed=seed, network=conv(3, norm="batch"), latent=gaussian(3))


class Run:
    """A training that was broken off, at the end of its first epoch or within the second."""

    def __init__(
        self, make: Any, optimizer: GradientDescent, schedule: Schedule, within: bool
    ) -> None:
        self.make, self.optimizer, self.schedule, self.within = make, optimizer, schedule, within
        self.experiment = SimpleNamespace(
            config=trainer_options(EPOCHS), optimizer=optimizer, scheduler=schedule,
            data=module(), max_epochs=EPOCHS,
        )  # fmt: skip
        self.model = make(8)

    def check(self, content: dict[str, Any], path: Path) -> None:
        checked(content, path, cast(Experiment, self.experiment), self.model)

    def fit(self, folder: Path, seed: int = 0, *callbacks: Any, resume: bool = False) -> None:
        stopping = ResumableEarlyStopping(monitor="val/loss", patience=9)
        checkpointed(
            self.make(seed), folder, EPOCHS, module=module(), optimizer=self.optimizer,
            schedule=self.schedule, callbacks=(stopping, *callbacks), resume=resume,
            minutes=0 if self.within else None,
        )  # fmt: skip

    def broken(self, folder: Path) -> dict[str, Any]:
        """Its checkpoint."""
        folder.mkdir()
        with pytest.raises(Broken):
            self.fit(folder, 0, Break(1, 1))
        return torch.load(folder / LAST, weights_only=True)

    def outcome(self, content: dict[str, Any], folder: Path, go_on: bool = True) -> str:
        """How a training ends that continues from this; asserts that it is in order."""
        torch.save(content, folder / LAST)
        try:
            if go_on:
                self.fit(folder, 8, resume=True)
                assert load(folder / LAST)["epoch"] == EPOCHS - 1
                assert [int(row["epoch"]) for row in read(folder)] == [1, 2, 3]
                return "continued"
            self.check(load(folder / LAST), folder / LAST)
        except UserError as error:
            assert len(str(error).splitlines()) <= 2 and str(error).startswith(f"{folder / LAST}: ")
            assert str(error).replace("\n", "").isprintable()
            return "refused"
        except NonFiniteError:
            return "not finite"
        return "accepted"


RUNS = {
    "adam": Run(noisy_vae, adam(), Plateau(patience=0, factor=0.5), within=True),
    "momentum": Run(
        normed, SGD(lr=0.01, momentum=0.9, nesterov=True, weight_decay=0.1),
        Step(epochs=1, factor=0.5), within=False,
    ),
    "plain": Run(
        noisy_vae, SGD(lr=0.01, momentum=0.0, nesterov=False, weight_decay=0.0),
        Cosine(final=0.0), within=True,
    ),
}  # fmt: skip


@pytest.fixture(params=RUNS.values(), ids=RUNS)
def run(request: pytest.FixtureRequest) -> Run:
    found: Run = request.param
    return found


def test_every_node_of_a_checkpoint(run: Run, tmp_path: Path) -> None:
    """Taken away, or replaced by nonsense; of what is accepted some are trained further."""
    whole = run.broken(tmp_path / "run")
    rng, outcomes = random.Random(0), Counter[str]()
    work = tmp_path / "work"
    work.mkdir()
    read = {k: v for k, v in whole.items() if k not in ("loops", "pytorch-lightning_version")}
    for _, content in trees(read):
        if rng.random() < SHARE:
            go_on = rng.random() < 0.1
            outcomes[run.outcome(content, work, go_on)] += 1
    assert outcomes["refused"] > 1000 * SHARE and outcomes["continued"]


def test_counters_of_lightning_are_not_read(run: Run, tmp_path: Path) -> None:
    """Nonsense in their place changes nothing, not a bit."""
    whole = run.broken(tmp_path / "run")
    found = []
    for n, loops in enumerate((whole["loops"], {"fit_loop": {"epoch_progress": -1}}, None)):
        folder = tmp_path / str(n)
        folder.mkdir()
        assert run.outcome({**whole, "loops": loops}, folder) == "continued"
        state = load(folder / LAST)
        found.append({k: state[k] for k in ("state_dict", "optimizer_states", "lr_schedulers")})
    for other in found[1:]:
        for (name, a), (_, b) in zip(leaves(found[0]).items(), leaves(other).items(), strict=True):
            assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b, name


def first_state(content: dict[str, Any]) -> tuple[Any, ...]:
    return "optimizer_states", 0, "state", 0


def test_a_moment_of_another_shape_never_reaches_the_kernel(tmp_path: Path) -> None:
    """Adam's kernel writes as many numbers as the parameter has, whatever the moment holds."""
    run = RUNS["adam"]
    whole = run.broken(tmp_path / "run")
    place = (*first_state(whole), "exp_avg")
    moment = whole["optimizer_states"][0]["state"][0]["exp_avg"]
    for wrong in (moment[:1], moment[:0], moment.T, moment.double(), moment.long(), torch.ones(())):
        content = replaced(whole, place, wrong.contiguous())
        assert run.outcome(content, tmp_path / "run") == "refused"
    assert run.outcome(without(whole, place), tmp_path / "run") == "refused"


def test_a_moment_has_memory_of_its_own(tmp_path: Path) -> None:
    """Strides of a file are not those of the parameter, and one number may stand for many."""
    run = RUNS["adam"]
    whole = run.broken(tmp_path / "run")
    moment = whole["optimizer_states"][0]["state"][0]["exp_avg"]
    content = replaced(whole, (*first_state(whole), "exp_avg"), moment.T.contiguous().T)
    assert not content["optimizer_states"][0]["state"][0]["exp_avg"].is_contiguous()
    found = []
    for n, one in enumerate((whole, content)):
        folder = tmp_path / str(n)
        folder.mkdir()
        assert run.outcome(one, folder) == "continued"
        found.append(load(folder / LAST)["state_dict"])
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())
    shared = replaced(whole, (*first_state(whole), "exp_avg"), moment[:1, :1].expand(moment.shape))
    assert run.outcome(shared, tmp_path / "run") == "continued"


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("epoch",), 7, "History"),
        (("step",), 5, "step"),
        (("epoch_progress", "chunks"), 3, "epoch_progress"),
        (("epoch_progress", "steps"), 60, "epoch_progress"),
        (("callbacks", "History", "rows"), [], "History"),
        (("optimizer_states",), [], "optimizer_states"),
        (("optimizer_states", 0, "state"), {99: {}}, "optimizer_states.99"),
        (("optimizer_states", 0, "param_groups", 0, "lr"), math.nan, "param_groups.0.lr"),
        (("optimizer_states", 0, "param_groups", 0, "amsgrad"), True, "param_groups.0.amsgrad"),
        (("lr_schedulers", 0, "mode"), "max", "lr_schedulers.0.mode"),
        (
            ("epoch_progress", "generators", 0),
            torch.zeros(1, 5056, dtype=torch.uint8),
            "generators",
        ),
    ],
)
def test_the_part_is_named(tmp_path: Path, place: Any, value: Any, told: str) -> None:
    run = RUNS["adam"]
    folder = tmp_path / "run"
    content = replaced(run.broken(folder), place, value)
    torch.save(content, folder / LAST)
    with pytest.raises(UserError) as error:
        run.check(load(folder / LAST), folder / LAST)
    assert told in str(error.value).splitlines()[0]
