"""Every YAML of conf/ is composed, built, stepped, saved and loaded; new ones too, unasked."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from aecore.config.arguments import parse
from aecore.config.compose import compose
from aecore.config.folders import CONF, ROOT
from aecore.config.groups import options_by_group
from aecore.config.help import group_help
from aecore.errors import UserError
from aecore.model.objectives.base import own_terms
from aecore.sweeps.plan import points
from aecore.tasks.base import Task
from aecore.tasks.run import build_task
from aecore.training.optimizers.closed_form import ClosedForm
from aecore.training.optimizers.gradient import GradientDescent
from aecore.training.prepare import prepare
from aecore.training.setup import Experiment, build_experiment

CHOICES = [
    (file.parent.relative_to(CONF).as_posix(), file.stem)
    for file in sorted(CONF.glob("*/**/*.yaml"))
    if "hydra" not in file.parts
]
# what a group is called on the command line, where that is not its name
TYPED = {"evaluate/metrics": "evaluate.metrics"}
SLOTS = ("network", "latent", "noise", "penalty", "reconstruction", "prior", "objective")
# presets in which an option is tried, one after the other, until it is compatible
PRESETS = ("ae", "vae", "conv_ae", "cnn_vae", "linear_ae", "kl_sparse", "iwae")


def made(*overrides: str) -> tuple[dict[str, Any], Experiment]:
    """The configuration and the words of a command line on the digits."""
    config = compose(parse([*overrides, "figures=none"])).config
    return config, build_experiment(config)


def stepped(parts: Experiment) -> None:
    """One step of training, with a gradient for every parameter; then saved and loaded equal."""
    model = prepare(parts)
    some = parts.data.train.subset(torch.arange(16))
    x, y = some.pixels(), some.labels
    generator = torch.Generator().manual_seed(0)
    terms = model.terms(x, generator, epoch=1.0, noisy=True, y=y)
    assert torch.isfinite(terms.loss)
    assert {*terms.logged} == {*own_terms(model), *model.penalties}
    sum(terms.critics.values(), terms.loss).backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
    if isinstance(parts.optimizer, GradientDescent):
        before = [p.detach().clone() for p in model.parameters()]
        optimizer = parts.optimizer(model.parameter_groups())
        parts.scheduler(optimizer, 10)
        optimizer.step()
        after = list(model.parameters())
        assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    else:
        assert isinstance(parts.optimizer, ClosedForm)
        parts.optimizer.solve(model, parts.data.train.pixels(), 0)
    model.eval()
    with torch.no_grad():
        once, again = model.reconstruct(x, y), prepare(parts)
        assert once.shape == x.shape
        again.load_state_dict(model.state_dict())
        assert torch.equal(again.eval().reconstruct(x, y), once)


@pytest.mark.parametrize("name", sorted(n for g, n in CHOICES if g == "model"))
def test_every_preset_trains_on_the_digits(name: str) -> None:
    _, parts = made(f"model={name}")
    stepped(parts)


@pytest.mark.parametrize(("group", "name"), [(g, n) for g, n in CHOICES if g in SLOTS])
def test_every_word_of_the_sentence_trains(group: str, name: str) -> None:
    options = [f"{group}={name}"]
    if group == "reconstruction":
        options.append(f"reconstruction=[mse,{name}]")  # it may need another beside it
    refused: list[UserError] = []
    for preset, option in product(PRESETS, options):
        try:
            _, parts = made(f"model={preset}", option)
            prepare(parts)
        except UserError as error:
            refused.append(error)
        else:
            stepped(parts)
            return
    raise AssertionError(f"compatible with no preset: {', '.join(map(str, refused))}")


@pytest.mark.parametrize(("group", "name"), [(g, n) for g, n in CHOICES if g not in SLOTS])
def test_every_other_choice_builds(group: str, name: str) -> None:
    company = ["model=pca"] if name == "closed_form" else []
    config, parts = made(*company, f"{TYPED.get(group, group)}={name}")
    assert isinstance(build_task(config), Task)
    assert parts.data.eval_batch_size >= 1


def test_presets_are_different_models() -> None:
    sentences = {}
    for name in sorted(n for g, n in CHOICES if g == "model"):
        config, _ = made(f"model={name}")
        sentence = repr([config[slot] for slot in (*SLOTS, "optimizer", "conditional")])
        assert sentence not in sentences, f"{name} is {sentences[sentence]} under another name"
        sentences[sentence] = name


def test_help_has_a_sentence_for_every_choice() -> None:
    texts = {group: group_help(group).splitlines() for group, _ in CHOICES}
    for group, name in CHOICES:
        lines = texts[group]
        assert any(line.split()[:1] == [name] and len(line.split()) > 2 for line in lines), name


def test_every_choice_file_is_a_choice() -> None:
    known = options_by_group()
    for group, name in CHOICES:
        assert name in known[group]


def test_a_typo_inside_a_preset_is_found(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /latent: gaussian\nlatent: {dmi: 3}\n"
    )
    arguments = parse(["--config-dir", str(tmp_path), "model=mine"])
    with pytest.raises(UserError, match=r"latent\.dmi: unknown key \(did you mean 'dim'"):
        build_experiment(compose(arguments).config)


def test_a_word_of_ones_own_needs_no_edit(tmp_path: Path) -> None:
    (tmp_path / "noise").mkdir()
    (tmp_path / "noise" / "loud.yaml").write_text(
        "# Much noise\n_target_: aecore.model.noise.noises.GaussianNoise\nstd: 2.0\n"
    )
    config = compose(parse(["--config-dir", str(tmp_path), "noise=loud"])).config
    assert config["noise"] == {"_target_": "aecore.model.noise.noises.GaussianNoise", "std": 2.0}


@pytest.mark.parametrize("study", sorted(f.stem for f in (ROOT / "sweeps").glob("*.yaml")))
def test_every_study_is_a_multirun(study: str) -> None:
    """They are run, small, elsewhere; this names the one that would silently train one job."""
    arguments = parse([f"sweeps={study}"])
    job = compose(arguments)
    assert job.multirun, "a study sets hydra.mode: MULTIRUN"
    if job.sweeper == "basic":  # a search has points only as it goes
        assert len(points(arguments, job)) > 1
