"""The documentation: its commands compose, its examples run, no word is left out."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from aecore.config.arguments import parse
from aecore.config.compose import compose
from aecore.config.folders import ROOT
from aecore.config.overrides import Override, read
from aecore.errors import UserError
from docs.making.page import Page
from helpers.commands import called
from helpers.docs_code import DOCS, PAGES, Block, blocks
from helpers.extras import skip

SENTENCE = {
    "model", "network", "latent", "noise", "penalty", "reconstruction", "prior", "objective",
    "experiment", "sweeps",
}  # fmt: skip
TINY = {"trainer.max_epochs": "1", "figures": "none", "logger": "none", "trainer.threads": "1"}


def documented() -> list[list[Override]]:
    """The overrides of every command, the last of several values, where no page's test runs it."""
    runs = yaml.safe_load((DOCS / "making" / "images.yaml").read_text())
    drawn = [Block("sh", "", f"run.py {run['command']}") for run in runs]
    found = [b for page in PAGES for b in blocks(page) if b.language == "sh" and not b.runs]
    # the reader's own folder is not here, nor are runs to resume
    commands = [argv for block in (*found, *drawn) for argv in block.commands]
    others = {"--help", "--config-dir"}
    parsed = [parse(argv) for argv in commands if not others & {*argv}]
    return [
        [last(override) for override in arguments.overrides]
        for arguments in parsed
        if arguments.path("resume") is None
    ]


def last(override: Override) -> Override:
    """Of several values the last one; of a range any."""
    if not override.is_sweep:
        return override
    if override.parsed.is_choice_sweep():
        return override.single()[-1]
    return read([f"{override.name}=1"])[0]


def sentence(keys: dict[str, Override]) -> dict[str, Override]:
    """The words of the model, and whatever is Hydra's."""
    return {k: o for k, o in keys.items() if k in SENTENCE or o.of_hydra}


def together(commands: list[list[Override]]) -> list[dict[str, Override]]:
    """Commands of one sentence in one, as far as no word says otherwise: composing takes long."""
    made: list[dict[str, Override]] = []
    for command in commands:
        keys = {override.name: override for override in command}
        words = {k: o for k, o in keys.items() if o.group is not None}
        for other in made:
            same = sentence(other) == sentence(keys)
            if same and all(other.get(key, value) == value for key, value in words.items()):
                other |= keys
                break
        else:
            made.append(keys)
    return made


@pytest.mark.parametrize("part", range(4))
def test_commands_compose(part: int) -> None:
    missing = None
    for command in together(documented())[part::4]:
        arguments = replace(parse([]), overrides=tuple(command.values()))
        try:
            compose(arguments)
        except UserError as error:
            extra = re.search(r"not installed\n.*'\.\[(\w+)\]'", str(error))
            if extra is None:
                raise AssertionError(f"{' '.join(arguments.typed)}\n{error}") from error
            missing = extra[1]
    if missing is not None:  # once all others are known to compose
        skip(missing)


def examples() -> list[Path]:
    """The pages with something to run."""
    return [
        page
        for page in PAGES
        if any(block.runs or block.language == "python" for block in blocks(page))
    ]


@pytest.mark.parametrize("page", examples(), ids=lambda page: page.stem)
def test_a_page_can_be_followed(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": page.stem}
    for block in blocks(page):
        if block.title is not None:
            Path(block.title).parent.mkdir(parents=True, exist_ok=True)
            Path(block.title).write_text(block.text)
        elif block.language == "python":
            exec(compile(block.text, str(page), "exec", dont_inherit=True), names)
        elif block.language == "yaml":
            assert isinstance(yaml.safe_load(block.text), dict)
        for argv in block.commands if block.runs else []:
            given = {override.key for override in parse(argv).overrides}
            more = {} if "run" in given else TINY
            called(*argv, *(f"{k}={v}" for k, v in more.items() if k not in given))


def test_places_in_contributing_exist() -> None:
    """`aecore/a/b.py::name` names a file and a definition in it, `folder/` a folder."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    places = re.findall(
        r"`((?:aecore|conf|tests|benchmarks|sweeps)/[\w/.]*?)(?:::([\w.]+))?`", text
    )
    assert len(places) > 40
    for path, name in places:
        assert (ROOT / path).exists(), path
        if name:
            last = name.rpartition(".")[2]
            defined = re.search(
                rf"^ *(class|def) {last}\b", (ROOT / path).read_text(), re.MULTILINE
            )
            assert defined, f"{path}::{name}"


def test_images_are_small_and_all_of_them_used() -> None:
    runs = yaml.safe_load((DOCS / "making" / "images.yaml").read_text())
    known = {name: image for run in runs for name, image in run["images"].items()}
    regions = [region for page in PAGES for region in Page.read(page).regions]
    shown = {argument for name, argument in regions if name == "image"}
    assert shown == known.keys()
    drawn = {file.stem: file.stat().st_size for file in (DOCS / "images").glob("*")}
    assert drawn.keys() == {name for name, image in known.items() if "figure" in image}
    assert max(drawn.values()) < 60 * 1024 and sum(drawn.values()) < 2 * 1024**2
