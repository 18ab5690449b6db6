"""Which classes a `_target_` may name, and how one that has moved is named."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from aecore.config.build import build
from aecore.config.targets import known_targets, moved
from aecore.errors import UserError
from aecore.model.penalties.base import Penalty


def test_every_known_class_is_defined_in_the_module_that_names_it() -> None:
    for name in known_targets():
        module, _, attribute = name.rpartition(".")
        assert getattr(importlib.import_module(module), attribute).__module__ == module


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("aecore.penalties.kl.KL", "aecore.model.penalties.kl.KL"),
        ("aecore.latents.gaussian.Gaussian", "aecore.model.latents.gaussian.GaussianLatent"),
        ("aecore.data.digits.Digits", "aecore.data.sources.digits.Digits"),
        ("aecore.metrics.probe.Probe", "aecore.evaluation.metrics.probe.Probe"),
        ("aecore.metrics.dead.DeadKernels", None),
        ("aecore.penalties", "aecore.model.penalties"),
        ("os.path.join", None),
        ("aecore.model.penalties.kl.KL", None),
    ],
)
def test_what_has_moved(old: str, new: str | None) -> None:
    assert moved(old) == new


def test_an_old_path_is_answered_by_the_new_one() -> None:
    with pytest.raises(UserError) as error:
        build({"_target_": "aecore.penalties.kl.KL"}, "penalty.kl", Penalty)
    first, hint = str(error.value).splitlines()
    assert first.startswith("penalty.kl._target_=aecore.penalties.kl.KL: No module named")
    assert hint == "  aecore.penalties.kl.KL is aecore.model.penalties.kl.KL since aecore 0.3.0"


def test_an_old_path_in_a_module_of_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_penalty_of_before.py").write_text("from aecore.penalties.base import Penalty")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"\n  aecore\.penalties is aecore\.model\.penalties since"):
        build({"_target_": "own_penalty_of_before.Mine"}, "penalty.mine", Penalty)


def test_a_class_is_named_by_its_own_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "from aecore.model.penalties.kl import KL"
    (tmp_path / "penalties_of_others.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"\n  name it aecore\.model\.penalties\.kl\.KL$"):
        build({"_target_": "penalties_of_others.KL"}, "penalty.kl", Penalty)
