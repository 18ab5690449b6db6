"""The images of the documentation and the commands that drew them, from images.yaml."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

LIST = Path(__file__).with_name("images.yaml")
FOLDER = Path(__file__).parents[1] / "images"


@cache
def runs() -> list[dict[str, Any]]:
    """Each command with its images."""
    commands: list[dict[str, Any]] = yaml.safe_load(LIST.read_text())
    return commands


def figure(name: str) -> str:
    """An image above the command that drew it, in Markdown."""
    for run in runs():
        if name in run["images"]:
            image = run["images"][name]
            file = image.get("file", f"images/{name}.png")
            picture = f"![{image['alt']}](ROOT/docs/{file})"
            caption = f"\n\n*`python run.py {run['command']}`*" if run.get("caption", True) else ""
            return picture + caption
    raise KeyError(f"{name}: no such image in {LIST.name}")
