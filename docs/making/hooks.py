"""Hooks of mkdocs: pages from outside docs/, links that differ on the site, TeX as MathML."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from aecore.config.folders import ROOT
from docs.making import reference

_MARKED = re.compile(r"^```(\w+) run$", re.MULTILINE)  # a mark for the tests only
_COMMENT = re.compile(r"^<!-- (generated: .*|/generated) -->$", re.MULTILINE)
_SOURCE = re.compile(r"\[`([\w.]+)`\]\((?:\.\./)+(aecore/[\w/]+)\.py\)")
_MATHS = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the API reference, and RESULTS.md, which lies outside docs/, with room for its tables."""
    text = (ROOT / "RESULTS.md").read_text().replace("docs/results/", "results/")
    page = f"---\nhide: [navigation, toc]\n---\n<div class=results markdown>\n{text}\n</div>\n"
    for place, content in {"results.md": page, **reference.pages()}.items():
        files.append(File.generated(config, place, content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Drop marks and comments; link classes to their reference, and RESULTS.md to its page."""

    def to_reference(match: re.Match[str]) -> str:
        name = match[1].rpartition(".")[2]
        return f"[`{match[1]}`][{match[2].replace('/', '.')}.{name}]"

    text = _COMMENT.sub("", _MARKED.sub(r"```\1", markdown))
    return _SOURCE.sub(to_reference, text).replace("../RESULTS.md)", "results.md)")


def on_page_content(content: str, **_: Any) -> str:
    """Convert formulas to MathML, which browsers show without scripts or network access."""

    def formula(match: re.Match[str]) -> str:
        display = "block" if match[1] == "div" else "inline"
        return convert(html.unescape(match[2]).strip(), display=display)

    return _MATHS.sub(formula, content)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Watch RESULTS.md and this folder too."""
    config.watch = [*config.watch, str(ROOT / "RESULTS.md"), str(Path(__file__).parent)]
    return config
