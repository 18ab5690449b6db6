"""The pictures of the documentation and the commands that drew them, from pictures.yaml."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

LIST = Path(__file__).with_name("pictures.yaml")
FOLDER = Path(__file__).parents[1] / "pictures"


@cache
def runs() -> list[dict[str, Any]]:
    """Each command with its pictures."""
    found: list[dict[str, Any]] = yaml.safe_load(LIST.read_text())
    return found


def figure(name: str) -> str:
    """A picture above the command that drew it, in Markdown; DOCS/ stands for the top folder."""
    for run in runs():
        if name in run["pictures"]:
            picture = run["pictures"][name]
            file = picture.get("file", f"pictures/{name}.png")
            said = f"<figcaption markdown>`python run.py {run['command']}`</figcaption>\n"
            return (
                f'<figure markdown="1">\n![{picture["alt"]}](DOCS/{file}){{ loading=lazy }}\n'
                f"{said if run.get('said', True) else ''}</figure>"
            )
    raise KeyError(f"{name}: no such picture in {LIST.name}")
