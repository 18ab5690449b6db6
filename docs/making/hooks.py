"""Hooks of mkdocs: `{{ ... }}` lines become tables and images, TeX becomes MathML."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import images
import tables
from aecore.config.folders import ROOT

_LINE = re.compile(r"^\{\{ (\w+) ?(.*?) \}\}$", re.MULTILINE)
_MARKED = re.compile(r"^```(\w+) run$", re.MULTILINE)  # a mark for the tests only
_MATHS = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
_MAKE: dict[str, Callable[[str], str]] = {
    "activations": tables.activations,
    "api": tables.api,
    "doc": tables.class_text,
    "keys": tables.keys_table,
    "choices": tables.choices_table,
    "variants": tables.variants_table,
    "presets": tables.presets_table,
    "settings": tables.settings_table,
    "image": images.figure,
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add RESULTS.md, which lies outside docs/, as a page with room for its tables."""
    text = (ROOT / "RESULTS.md").read_text().replace("docs/results/", "results/")
    page = f"---\nhide: [navigation, toc]\n---\n<div class=results markdown>\n{text}\n</div>\n"
    files.append(File.generated(config, "results.md", content=page))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Replace each line `{{ name argument }}` by its table or image."""
    depth = page.file.src_uri.count("/")

    def replacement(match: re.Match[str]) -> str:
        return _MAKE[match[1]](match[2]).replace("(DOCS/", f"({'../' * depth}")

    return _LINE.sub(replacement, _MARKED.sub(r"```\1", markdown))


def on_page_content(content: str, **_: Any) -> str:
    """Convert formulas to MathML, which browsers show without scripts or network access."""

    def formula(match: re.Match[str]) -> str:
        display = "block" if match[1] == "div" else "inline"
        return convert(html.unescape(match[2]).strip(), display=display)

    return _MATHS.sub(formula, content)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Watch the files of options too."""
    folders = (ROOT / "conf", ROOT / "sweeps", Path(__file__).parent)
    config.watch = [*config.watch, *map(str, folders)]
    return config
