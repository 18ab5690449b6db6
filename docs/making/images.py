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
    """An image above the command that drew it, in Markdown; DOCS/ stands for the top folder."""
    for run in runs():
        if name in run["images"]:
            image = run["images"][name]
            file = image.get("file", f"images/{name}.png")
            caption = f"<figcaption markdown>`python run.py {run['command']}`</figcaption>\n"
            return (
                f'<figure markdown="1">\n![{image["alt"]}](DOCS/{file}){{ loading=lazy }}\n'
                f"{caption if run.get('caption', True) else ''}</figure>"
            )
    raise KeyError(f"{name}: no such image in {LIST.name}")
