"""Random command lines: parsed, composed and checked, or refused in a few lines."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from aecore.cli import main
from aecore.config.arguments import Arguments, parse
from aecore.config.compose import compose
from aecore.errors import UserError
from aecore.training.config_checker import ConfigChecker
from helpers.command_lines import command_line

DRAWS = st.randoms(use_true_random=False)


def parsed(draw: Random) -> Arguments:
    return parse(arg for arg in command_line(draw) if arg != "--version")  # which ends at once


@seed(0)
@settings(max_examples=2000, deadline=None, database=None)
@given(draw=DRAWS)
def test_every_line_is_parsed_or_refused(draw: Random) -> None:
    with suppress(UserError):
        parsed(draw)


@seed(1)
@settings(max_examples=100, deadline=None, database=None)
@given(draw=DRAWS)
def test_every_line_is_composed_and_checked_or_refused(draw: Random) -> None:
    with suppress(UserError):
        composition = compose(parsed(draw))
        if not composition.multirun and composition.config["task"] == "train":
            ConfigChecker().check(composition.config)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (["-m", "latent.dim=[2"], "latent.dim=[2: cannot be read"),
        (["trainer.max_epochs=2020-13-45"], "trainer.max_epochs=2020-13-45"),
        (["task=[interpolate]"], "task"),
        (["task=1000"], "task=1000"),
        (["hydra=5"], "cannot be composed"),
        (["--config-name", "dataset/mnist"], "--config-name"),
        (["latent.dim=" + "9" * 5000], "cannot be read"),
        (["--config-dir", "~nobody/x"], "--config-dir ~nobody/x: no such folder"),
        (["--shell-completion"], "it takes install=bash"),
        (["resume=run", "trainer/accelerator=a/b"], "run"),
    ],
)
def test_lines_that_once_ended_in_a_traceback(
    line: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(line) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ") and expected in message
    assert len(message.splitlines()) <= 3
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("flag", ["--config-dir", "--config-name"])
def test_a_name_that_no_file_may_have(flag: str) -> None:
    with pytest.raises(UserError, match=r"no such folder|File name too long"):
        compose(parse([flag, "a" * 5000]))
