"""Configurations of a grid: one composed for each selection of groups, and all as Hydra's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from aecore.cli import main
from aecore.config.arguments import parse
from aecore.config.compose import compose, resolved
from aecore.errors import UserError
from aecore.sweeps import selections as module
from aecore.sweeps.plan import points
from aecore.sweeps.selections import Selections, at_point

# `dataset.epochs` is what trainer.max_epochs interpolates
VALUES = [
    "latent.dim=2,3", "dataset.epochs=1,2", "network.hidden=[4],[8,4]", "optimizer.lr=1e-3",
    "dataset.binarise=null,threshold", "paths.output_dir='with space'", "conditional=false",
    "network.activation='relu'",
]  # fmt: skip


def grid(*argv: str) -> tuple[Any, list[Any]]:
    """A command line and its points."""
    arguments = parse(["-m", *argv, "figures=none"])
    return arguments, points(arguments, compose(arguments))


def test_every_point_is_as_hydra_composes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments, jobs = grid("model=ae,vae", "noise=none,gaussian", *VALUES)
    composed: list[str] = []

    def counted(arguments: Any) -> Any:
        composed.append(" ".join(arguments.typed))
        return compose(arguments)

    monkeypatch.setattr(module, "compose", counted)
    selections = Selections(arguments)
    found = [selections.config(job) for job in jobs]
    assert len(jobs) == 64 and len(composed) == 4
    for job, config in list(zip(jobs, found, strict=True))[::13]:
        alone = compose(at_point(arguments, job))
        assert config == alone.config
        whole = selections.whole(job)
        own, theirs = (
            OmegaConf.to_container(OmegaConf.masked_copy(one, [*alone.config]), resolve=True)
            for one in (whole, alone.whole)
        )
        assert own == theirs == config
        assert whole.hydra.overrides.task == alone.whole.hydra.overrides.task
        assert whole.hydra.runtime.choices == alone.whole.hydra.runtime.choices
        assert whole.hydra.job.override_dirname == alone.whole.hydra.job.override_dirname
    assert [selections.config(job) for job in jobs] == found


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["model=ae,vae", "latent.activation=relu"], "latent has no key 'activation'"),
        (["latent.dim=2,3", "network=mlp", "network.hiden=[4]"], "did you mean .hidden"),
        (["seed=1,2", "trainer.max_epochs=${nowhere}"], "nowhere"),
    ],
)
def test_what_hydra_refuses_is_refused(argv: list[str], told: str) -> None:
    with pytest.raises(UserError, match=told):
        arguments, jobs = grid(*argv)
        for job in jobs:
            Selections(arguments).config(job)


def test_a_point_takes_nothing_from_the_points_before_it() -> None:
    values = ["trainer.gradient_clip=null,1,0.5", "network.hidden=[8,4],[4],[]", "latent.dim=3,2"]
    more = ["optimizer.lr=1e-3,'${trainer.ema}'", "trainer.ema=0.5,0.9"]
    arguments, jobs = grid("model=ae", *values, *more)
    together = Selections(arguments)
    for job in [*jobs, *reversed(jobs)]:
        assert together.config(job) == resolved(Selections(arguments).whole(job))
    (refused,) = points(parse(["model=ae", "latent.dmi=5"]), compose(parse(["model=ae"])))
    with pytest.raises(UserError, match="latent has no key"):
        together.config(refused)
    assert together.config(jobs[0]) == resolved(Selections(arguments).whole(jobs[0]))


def test_a_long_plan_tells_of_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    argv = ["-m", "model=ae", "figures=none", "latent.dim=range(2,60)", "seed=-1"]
    assert main(argv) == 2
    said = capsys.readouterr()
    assert "checking 58 jobs" in said.out and "job 1/58 of the sweep" in said.err
