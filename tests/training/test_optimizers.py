"""Schedules of the learning rate, and the words of optimizers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from aecore.errors import ConfigError, UserError
from aecore.training.optimizers.by_name import Torch
from aecore.training.optimizers.gradient import SGD, AdamW, GradientDescent
from aecore.training.optimizers.restored import restored_states
from aecore.training.optimizers.schedulers import Constant, Cosine, Plateau, Schedule, Step
from helpers.models import adam, data, fit, model
from helpers.training_loop import X, equal, noisy_vae, single_steps


def rates(schedule: Schedule, epochs: int, losses: list[float] | None = None) -> list[float]:
    """The learning rate in each epoch, from 0.1."""
    optimizer = adam(0.1)([nn.Parameter(torch.zeros(1))])
    scheduler: Any = schedule(optimizer, epochs)
    found = []
    for epoch in range(epochs):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if scheduler is not None:
            scheduler.step(*([] if losses is None else [losses[epoch]]))
    return found


class TestSchedules:
    def test_constant(self) -> None:
        assert rates(Constant(), 5) == [0.1] * 5

    def test_step(self) -> None:
        expected = [0.1 * 0.5 ** (epoch // 3) for epoch in range(10)]
        assert rates(Step(epochs=3, factor=0.5), 10) == pytest.approx(expected)

    @pytest.mark.parametrize("final", [0.0, 0.02])
    def test_cosine(self, final: float) -> None:
        expected = [final + (0.1 - final) * (1 + math.cos(math.pi * t / 10)) / 2 for t in range(10)]
        assert rates(Cosine(final=final), 10) == pytest.approx(expected)

    def test_plateau(self) -> None:
        losses = [5.0, 4.0, 4.0, 4.1, 4.2, 3.0, 3.0, 3.0, 3.0]
        # epochs 3 to 5 bring nothing better than 4: after the third the rate falls, likewise later
        expected = [0.1] * 5 + [0.05] * 4
        assert rates(Plateau(patience=2, factor=0.5), 9, losses) == pytest.approx(expected)

    def test_plateau_of_negative_losses(self) -> None:
        losses = [-50.0, -50.0, -49.999, -50.0, -51.0, -50.999, -51.0]
        expected = [0.1] * 3 + [0.05] * 4
        assert rates(Plateau(patience=1, factor=0.5), 7, losses) == pytest.approx(expected)

    @pytest.mark.parametrize(
        ("schedule", "arguments"),
        [
            (Step, {"epochs": 0, "factor": 0.5}),
            (Step, {"epochs": 1, "factor": 1.0}),
            (Plateau, {"patience": -1, "factor": 0.5}),
            (Cosine, {"final": -0.1}),
            (Cosine, {}),
        ],
        ids=str,
    )
    def test_wrong_arguments(self, schedule: Any, arguments: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            schedule(**arguments)


class TestWords:
    """Each word steps as the formula of its paper does."""

    def steps(self, optimizer: torch.optim.Optimizer, w: nn.Parameter, n: int = 3) -> list[float]:
        found = []
        for _ in range(n):
            optimizer.zero_grad()
            (w**2).sum().backward()
            optimizer.step()
            found.append(float(w.detach()))
        return found

    @pytest.mark.parametrize("decay", [0.0, 0.3])
    @pytest.mark.parametrize("decoupled", [False, True])
    def test_adam(self, decay: float, decoupled: bool) -> None:
        w = nn.Parameter(torch.ones((), dtype=torch.float64))
        word: Any = AdamW if decoupled else type(adam())
        made = word(lr=0.1, betas=[0.8, 0.9], eps=1e-3, weight_decay=decay)
        x, m, v, expected = 1.0, 0.0, 0.0, []
        for t in (1, 2, 3):
            g = 2 * x + (0 if decoupled else decay * x)
            if decoupled:
                x -= 0.1 * decay * x
            m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g * g
            x -= 0.1 * (m / (1 - 0.8**t)) / (math.sqrt(v / (1 - 0.9**t)) + 1e-3)
            expected.append(x)
        assert self.steps(made([w]), w) == pytest.approx(expected, rel=1e-9)

    @pytest.mark.parametrize("nesterov", [False, True])
    def test_sgd(self, nesterov: bool) -> None:
        w = nn.Parameter(torch.ones((), dtype=torch.float64))
        made = SGD(lr=0.1, momentum=0.7, nesterov=nesterov, weight_decay=0.2)
        x, m, expected = 1.0, 0.0, []
        for _ in range(3):
            g = 2 * x + 0.2 * x
            m = 0.7 * m + g
            x -= 0.1 * (g + 0.7 * m if nesterov else m)
            expected.append(x)
        assert self.steps(made([w]), w) == pytest.approx(expected, rel=1e-9)

    @pytest.mark.parametrize(
        "change",
        [
            {"lr": 0.0},
            {"lr": -1.0},
            {"betas": [0.9]},
            {"betas": [0.9, 1.0]},
            {"eps": 0},
            {"lr": "1e-3"},
        ],
        ids=str,
    )
    def test_wrong_arguments(self, change: dict[str, Any]) -> None:
        values = {"lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0}
        with pytest.raises(ValidationError, match=next(iter(change))):
            AdamW(**(values | change))

    def test_nesterov_needs_momentum(self) -> None:
        with pytest.raises(UserError, match=r"optimizer\.nesterov"):
            SGD(lr=0.1, momentum=0.0, nesterov=True, weight_decay=0.0)


NAMES = [
    "ASGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam",
    "RMSprop", "Rprop", "SGD",
]  # fmt: skip


class TestByName:
    @pytest.mark.parametrize("name", NAMES)
    def test_trains_as_a_loop_by_hand(self, name: str) -> None:
        slow, fast = noisy_vae(), noisy_vae()
        kind = getattr(torch.optim, name)

        class Own(GradientDescent):
            def __call__(self, parameters: Any) -> torch.optim.Optimizer:
                made: torch.optim.Optimizer = kind(parameters, lr=0.01, weight_decay=0.1)
                return made

        options = {"weight_decay": 0.1}
        if name == "Rprop":  # it has none
            Own.__call__ = lambda self, parameters: kind(parameters, lr=0.01)  # type: ignore
            options = {}
        single_steps(slow, 2, optimizer=Own())
        fit(fast, data(X), epochs=2, optimizer=Torch(name=name, lr=0.01, options=options))
        assert equal(slow.state_dict(), fast.state_dict())

    def test_is_the_option_of_that_name(self) -> None:
        """But for rounding: torch has a faster implementation of these."""
        one, other = noisy_vae(), noisy_vae()
        decay = {"weight_decay": 0.3, "betas": [0.8, 0.9]}
        fit(one, data(X), epochs=1, optimizer=Torch(name="AdamW", lr=0.01, options=decay))
        fit(
            other, data(X), epochs=1,
            optimizer=AdamW(lr=0.01, betas=[0.8, 0.9], eps=1e-8, weight_decay=0.3),
        )  # fmt: skip
        for name, value in one.state_dict().items():
            assert torch.allclose(value, other.state_dict()[name], atol=1e-5), name

    @pytest.mark.parametrize(
        ("name", "options", "text"),
        [
            ("adamw", {}, r"name=adamw: no class of torch.optim \(did you mean 'AdamW'"),
            ("Nadm", {}, r"name=Nadm: no class of torch.optim \(did you mean 'NAdam'"),
            ("Optimizer", {}, "name=Optimizer: no class"),
            ("lr_scheduler", {}, "name=lr_scheduler: no class"),
            ("LBFGS", {}, "name=LBFGS: its step needs the loss of the same images several times"),
            ("SparseAdam", {}, "name=SparseAdam: it takes sparse gradients only"),
            ("NAdam", {"beta": [0.9]}, r"options.beta=.*no such option \(did you mean 'betas'"),
            ("NAdam", {"lr": 0.1}, "options.lr=0.1: .*\n  it is optimizer.lr"),
            ("NAdam", {"params": []}, "options.params="),
            ("NAdam", {"betas": [0.9, 1.5]}, "options=.*: NAdam refuses: Invalid beta"),
            ("NAdam", {"betas": 0.9}, "options=.*: NAdam refuses: "),
            ("NAdam", {"eps": "small"}, "options=.*: NAdam refuses: "),
            ("NAdam", {"differentiable": True}, "options=.*: NAdam refuses: "),
        ],
        ids=str,
    )
    def test_refusals(self, name: str, options: dict[str, Any], text: str) -> None:
        with pytest.raises(ConfigError, match=f"^optimizer.{text}"):
            Torch(name=name, lr=0.1, options=options)

    @pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="of a later version of torch")
    def test_parameters_that_it_does_not_take(self) -> None:
        with pytest.raises(ConfigError, match=r"^optimizer\.name=Muon: Muon refuses: .*2D"):
            Torch(name="Muon", lr=0.1, options={}).check(model(), 100)
        with torch.device("meta"):
            shapes = model()
        Torch(name="NAdam", lr=0.1, options={}).check(shapes, 100)

    def test_a_parameter_without_a_gradient_begins_anew(self) -> None:
        """Zeros are not what NAdam begins with: it keeps a product of momenta, at first 1."""
        nadam, parameters = (
            Torch(name="NAdam", lr=0.1, options={}), [nn.Parameter(torch.ones(2)) for _ in range(2)]
        )  # fmt: skip
        built = nadam(parameters)
        parameters[0].grad = torch.ones(2)
        built.step()
        saved = built.state_dict()["state"]
        assert saved.keys() == {0} and restored_states(nadam, built, saved).keys() == {0}
        assert restored_states(adam(), adam()(parameters), {}) == {}
