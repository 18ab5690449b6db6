"""`--help` of everything, of a group and of an option, and commands that were meant."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from aecore.cli import main
from aecore.config.arguments import parse
from aecore.config.compose import compose
from aecore.config.folders import groups, known
from aecore.config.option_help import option_help
from aecore.training.config_checker import ConfigChecker

OPTIONS = [(group, name) for group in groups() for name in known(group)]


def said(capsys: pytest.CaptureFixture[str], *argv: str, status: int = 0) -> str:
    assert main([*argv]) == status
    captured = capsys.readouterr()
    return captured.err if status else captured.out


def test_the_whole_help_fits_two_screens(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "--help").splitlines()
    assert len(lines) < 90 and max(map(len, lines)) < 80
    assert all(any(line.startswith(f"  {group} ") for line in lines) for group in groups())


def test_the_help_of_a_group_describes_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "latent", "--help")
    assert all(re.search(rf"^  {name} +\w", text, re.MULTILINE) for name in known("latent"))


@pytest.mark.parametrize("group", groups(), ids=lambda value: value)
def test_help_is_no_wider_than_a_terminal(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    texts = [said(capsys, group, "--help"), *(option_help(group, name) for name in known(group))]
    for line in "\n".join(texts).splitlines():
        assert len(line) < 80 or " " not in line.strip(), line


def test_the_help_of_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "latent=vq", "penalty=[kl,l1]", "-h")
    assert "latent.codebook_size=128   entries of the codebook" in text
    assert "van den Oord et al. 2017" in text and "penalty.l1.weight=0.01" in text
    assert "example: python run.py model=vq_vae latent.codebook_size=128" in text


def test_a_variant_has_the_keys_of_its_parent() -> None:
    text = option_help("latent", "deterministic_small")
    assert "latent.dim=8 " in text and "latent.activation=null" in text


def test_the_options_of_a_user(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "noise").mkdir()
    text = "# Stripes\n_target_: stripes.Stripes\nwidth: 3   # of a stripe\n"
    (tmp_path / "noise" / "stripes.yaml").write_text(text)
    (tmp_path / "stripes.py").write_text('class Stripes:\n    """Alternating columns."""\n')
    text = said(capsys, "--config-dir", str(tmp_path), "noise=stripes", "--help")
    assert "noise.width=3  of a stripe" in text and "Alternating columns." in text
    example = text.partition("example: ")[2].replace("\\\n", "").split()
    assert example[2:] == ["--config-dir", str(tmp_path), "noise=stripes", "noise.width=3"]


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("latent.dim=8", "--help describes groups and their options"),
        ("latent=vqq", "no such latent (did you mean 'vq'?)"),
        ("vae", "--help describes groups and their options"),
    ],
)
def test_help_of_nothing(typed: str, problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert problem in said(capsys, typed, "--help", status=2)


@pytest.mark.parametrize(("group", "name"), OPTIONS, ids=lambda value: value)
def test_every_option_has_a_description_and_an_example(group: str, name: str) -> None:
    text = option_help(group, name)
    assert re.match(rf"{group}={name}: \w", text)
    assert re.search(r"\nexample: python run\.py \S+", text)


@pytest.mark.parametrize(
    "group", ["latent", "network", "objective", "penalty", "sampler", "reconstruction"]
)
def test_examples_can_be_trained(group: str) -> None:
    checker = ConfigChecker()
    for name in known(group):
        example = option_help(group, name).rpartition("example: python run.py ")[2]
        argv = shlex.split(example.replace("\\\n", ""))
        if argv[0].startswith("model=") and len(argv) == 2 and "." in argv[1]:
            continue  # a preset of the project with a value that it has
        checker.check(compose(parse([*argv, "dataset=digits"])).config)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("model vae", "model=vae"),
        ("--model vae", "model=vae"),
        ("--model=vae -m", "-m model=vae"),
        ("train", "task=train"),
        ("vae", "model=vae"),
        ("VQ-VAE mnist", "model=vq_vae dataset=mnist"),
        ("sample run=last", "task=sample run=last"),
        ("--epochs 3 --lr 0.1", "trainer.max_epochs=3 optimizer.lr=0.1"),
        ("last task=score", "run=last task=score"),
        ("model = vae seed =1 latent.dim= 8", "model=vae seed=1 latent.dim=8"),
        ("penalty=[l1, contractive]", "'penalty=[l1,contractive]'"),
        ("-m latent.dim=2, 8", "-m latent.dim=2,8"),
    ],
)
def test_the_command_that_was_meant(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, *typed.split(), status=2).endswith(f"write: python run.py {meant}\n")


def test_what_nobody_can_guess(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--help` lists the options" in said(capsys, "--foo", "vae", status=2)
