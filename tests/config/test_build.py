"""The door: what is built from a node, what is refused, and in what words."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from aecore.config.build import build, known_keys, resolve
from aecore.config.component import component
from aecore.errors import UserError
from aecore.model.latents.base import Latent
from aecore.model.latents.deterministic import Deterministic
from aecore.model.networks.base import Network
from aecore.model.networks.conv import Conv
from aecore.model.networks.mlp import MLP
from aecore.model.noise.base import Noise
from aecore.model.noise.noises import Chain, GaussianNoise, NoNoise
from aecore.model.penalties.base import Penalty
from aecore.model.penalties.weight import Weight
from aecore.model.reconstruction.base import Reconstruction
from aecore.model.reconstruction.gaussian import GaussianLikelihood as Likelihood
from aecore.training.optimizers.base import Optimizer
from aecore.training.optimizers.gradient import Adam

LATENT = {
    "_target_": "aecore.model.latents.deterministic.Deterministic",
    "dim": 3,
    "activation": None,
    "bias": True,
}

CONV: dict[str, Any] = {
    "_target_": "aecore.model.networks.conv.Conv",
    "channels": [4, 8],
    "kernel_size": 3,
    "down": "stride",
    "ceil_mode": True,
    "activation": "relu",
    "output_activation": None,
    "bias": True,
    "norm": None,
    "dropout": 0.0,
}


def refused(node: dict[str, Any], path: str, base: Any, **extra: Any) -> str:
    with pytest.raises(UserError) as raised:
        build(node, path, base, **extra)
    message = str(raised.value)
    assert message.count("\n") <= 2 and "pydantic" not in message
    return message


class TestBuild:
    def test_a_word(self) -> None:
        latent = build(LATENT, "latent", Latent)
        assert isinstance(latent, Deterministic) and latent.dim == 3 and latent.bias is True
        network = build(CONV, "network", Network)
        assert isinstance(network, Conv) and network.channels == [4, 8]

    def test_extra_arguments(self) -> None:
        node = {"_target_": "aecore.model.noise.noises.Chain"}
        steps = [NoNoise(), GaussianNoise(std=0.1)]
        chain = build(node, "noise", Noise, steps=steps)
        assert isinstance(chain, Chain) and [type(s) for s in chain.steps] == [
            NoNoise,
            GaussianNoise,
        ]

    def test_an_extra_argument_is_no_key(self) -> None:
        node = {"_target_": "aecore.model.noise.noises.Chain", "step": 1}
        assert "steps" not in refused(node, "noise", Noise, steps=[NoNoise()])

    def test_a_key_that_the_caller_gives_is_not_silently_dropped(self) -> None:
        node = {"_target_": "aecore.model.noise.noises.Chain", "steps": [GaussianNoise(std=0.1)]}
        message = refused(node, "noise", Noise, steps=[NoNoise()])
        assert message.startswith("noise.steps: unknown key")

    def test_does_not_change_the_node(self) -> None:
        node = dict(LATENT)
        build(node, "latent", Latent)
        assert node == LATENT

    def test_known_keys(self) -> None:
        assert known_keys(Deterministic) == {"dim", "activation", "bias"}
        assert known_keys(Adam) == {"lr", "betas", "eps", "weight_decay"}


class TestKeys:
    def test_unknown_with_a_near_word(self) -> None:
        message = refused({**LATENT, "dmi": 4}, "latent", Latent)
        assert message.startswith("latent.dmi: unknown key (did you mean 'dim'?)")
        assert "known here: activation, bias, dim" in message

    def test_unknown_without_one(self) -> None:
        message = refused({**LATENT, "zzzzz": 4}, "latent", Latent)
        assert message.startswith("latent.zzzzz: unknown key\n")

    def test_unknown_before_missing(self) -> None:
        """A misspelt key is both: the spelling is what helps."""
        node = {k: v for k, v in LATENT.items() if k != "dim"} | {"dims": 3}
        message = refused(node, "latent", Latent)
        assert message.startswith("latent.dims: unknown key (did you mean 'dim'")

    @pytest.mark.parametrize("key", ["dim", "activation", "bias"])
    def test_missing(self, key: str) -> None:
        node = {k: v for k, v in LATENT.items() if k != key}
        assert refused(node, "latent", Latent) == f"latent.{key}: this key is missing"

    def test_the_path_is_where_the_node_stands(self) -> None:
        node = {"_target_": "aecore.model.penalties.l1.L1Penalty", "wieght": 1}
        assert refused(node, "penalty.l1", Penalty).startswith("penalty.l1.wieght: unknown key")


class TestValues:
    @pytest.mark.parametrize(
        ("change", "shown", "mend"),
        [
            ({"kernel_size": 4}, "kernel_size=4", "3, 5 or 7"),
            ({"kernel_size": "3"}, "kernel_size=3", "3, 5 or 7"),
            ({"down": "unpool"}, "down=unpool", "'stride', 'max' or 'average'"),
            ({"dropout": 1.5}, "dropout=1.5", "1"),
            ({"dropout": -0.5}, "dropout=-0.5", "0"),
            ({"dropout": True}, "dropout=true", "number"),
            ({"dropout": None}, "dropout=null", "number"),
            ({"dropout": float("nan")}, "dropout=nan", "finite number"),
            ({"bias": 1}, "bias=1", "a valid boolean"),
            ({"bias": "true"}, "bias=true", "a valid boolean"),
            ({"channels": 4}, "channels=4", "list"),
            ({"channels": []}, "channels=[]", "at least 1 item"),
            ({"channels": [4, 0]}, "channels=[4,0]", "greater than or equal to 1"),
            ({"channels": [4.0]}, "channels=[4.0]", "integer"),
            ({"channels": ["4"]}, "channels=[4]", "integer"),
            ({"activation": "rely"}, "activation=rely", "'relu'"),
            ({"norm": False}, "norm=false", "'batch' or 'layer'"),
        ],
        ids=str,
    )
    def test_wrong(self, change: dict[str, Any], shown: str, mend: str) -> None:
        message = refused(CONV | change, "network", Network)
        assert message.startswith(f"network.{shown}: ") and mend in message.split(": ", 1)[1]

    def test_a_whole_number_may_stand_for_a_number(self) -> None:
        network = build(CONV | {"dropout": 0}, "network", Network)
        assert isinstance(network, Conv) and network.dropout == 0

    @pytest.mark.parametrize("scale", ["learnt", 0, -1, None, [1.0]])
    def test_alternatives(self, scale: Any) -> None:
        node = {
            "_target_": "aecore.model.reconstruction.gaussian.GaussianLikelihood",
            "scale": scale,
        }
        message = refused(node, "reconstruction.gaussian", Reconstruction)
        assert message.startswith("reconstruction.gaussian.scale=") and "'learned'" in message
        node["scale"] = 0.5
        assert isinstance(build(node, "reconstruction.gaussian", Reconstruction), Likelihood)

    def test_the_first_of_several_is_named(self) -> None:
        message = refused(CONV | {"dropout": 7, "down": "x"}, "network", Network)
        assert message.startswith("network.down=x: ")

    def test_a_word_that_refuses_by_itself(self) -> None:
        node = {"_target_": "aecore.training.optimizers.gradient.SGD", "lr": 0.1, "momentum": 0.0}
        node |= {"nesterov": True, "weight_decay": 0.0}
        assert "optimizer.nesterov=true" in refused(node, "optimizer", Optimizer)

    def test_a_notebook_is_checked_too(self) -> None:
        with pytest.raises(ValidationError, match="hidden"):
            MLP(hidden=4, decoder_hidden=None, activation=None, output_activation=None,
                bias=True, norm=None, dropout=0.0)  # type: ignore[arg-type]  # fmt: skip
        with pytest.raises(ValidationError):
            Deterministic(3, None, True)  # type: ignore[misc]

    def test_a_python_error_inside_a_word_is_not_the_user_s(self) -> None:
        node = {"_target_": f"{__name__}.Broken", "std": 1.0}
        with pytest.raises(ZeroDivisionError):
            build(node, "noise", Noise)


class Broken(NoNoise):
    """Has a fault of its own."""

    @component
    def __init__(self, *, std: float) -> None:
        self.std = std / 0


class TestTargets:
    @pytest.mark.parametrize(
        "target",
        [
            "shutil.rmtree",
            "os.system",
            "os.mkdir",
            "builtins.exec",
            "builtins.open",
            "subprocess.Popen",
            "pathlib.Path",
            "torch.nn.Linear",
            "aecore.model.networks.mlp.MLP",
            "aecore.model.latents",
            "aecore.model.latents.Nothing",
            "aecore.nothing.Deterministic",
            "nothing.at.all",
            "Deterministic",
            "aecore.model.latents.base.flat",
            "aecore.model.latents.deterministic.Deterministic.attach",
            "aecore.model.latents.gaussian.LOG_VAR_BOUND",
            "",
            ".",
            "..latents.Deterministic",
            ".Deterministic",
            "aecore..latents.Deterministic",
            "os\0.system",
        ],
    )
    def test_that_fill_another_slot_are_not_called(self, tmp_path: Path, target: str) -> None:
        kept = tmp_path / "kept"
        kept.mkdir()
        for arguments in (
            {"path": str(kept)},
            {"path": str(tmp_path / "new")},
            {"command": f"touch {tmp_path / 'new'}"},
            {"args": f"touch {tmp_path / 'new'}", "shell": True},
        ):
            message = refused({"_target_": target, **arguments}, "latent", Latent)
            assert message.startswith("latent")
        assert list(tmp_path.iterdir()) == [kept]

    @pytest.mark.parametrize(
        "target", [None, 3, ["os.system"], {"a": 1}, Deterministic, shutil.rmtree]
    )
    def test_that_are_no_names(self, target: Any) -> None:
        assert refused({"_target_": target, "dim": 3}, "latent", Latent).startswith("latent")

    def test_none_at_all(self) -> None:
        message = refused({"dim": 3}, "latent", Latent)
        assert message.startswith("latent: no component was chosen here")

    @pytest.mark.parametrize(
        ("target", "base"),
        [
            ("aecore.model.latents.base.Latent", Latent),
            ("aecore.model.noise.base.Noise", Noise),
            ("aecore.model.penalties.base.Penalty", Penalty),
            ("aecore.training.optimizers.gradient.GradientDescent", Optimizer),
        ],
    )
    def test_that_are_abstract(self, target: str, base: Any) -> None:
        assert target in refused({"_target_": target}, "slot", base)

    def test_of_other_packages_are_welcome(self) -> None:
        """A word of a user's own, from anywhere that Python can import."""
        assert resolve({"_target_": f"{__name__}.Broken"}, "noise", Noise) is Broken

    def test_optimizers_are_either_kind(self) -> None:
        message = refused({"_target_": "os.system", "command": "true"}, "optimizer", Optimizer)
        assert message.startswith("optimizer._target_=os.system: no Optimizer of that name")
        node = {"_target_": "aecore.training.optimizers.closed_form.ClosedForm"}
        assert type(build(node, "optimizer", Optimizer)).__name__ == "ClosedForm"

    def test_weights(self) -> None:
        node = {
            "_target_": "aecore.model.penalties.weight.Weight",
            "weight": -1.0,
            "schedule": "constant",
        }
        message = refused({**node, "warmup": 0}, "penalty.kl", Weight)
        assert message.startswith("penalty.kl.weight=-1.0: ")


def test_the_oracles_would_have_noticed(tmp_path: Path) -> None:
    """What the refused targets do when they are called."""
    os.mkdir(tmp_path / "new")
    assert (tmp_path / "new").is_dir()
    shutil.rmtree(tmp_path / "new")
    os.system(f"touch {tmp_path / 'new'}")
    assert (tmp_path / "new").is_file()
