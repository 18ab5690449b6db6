"""`python -m docs.build`: write the generated regions of the README and of all pages anew.

With `--check` nothing is written; pages that are not current are named, with exit status 1.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from aecore.config.folders import ROOT
from docs.making import images, measured, options, tables
from docs.making.page import Page

COMMAND = "python -m docs.build"
MAKE: dict[str, Callable[[str, Page], str]] = {
    "activations": lambda argument, _: tables.activations(argument),
    "doc": lambda argument, _: tables.class_text(argument),
    "keys": lambda argument, _: tables.keys_table(argument),
    "settings": lambda argument, _: tables.settings_table(argument),
    "image": lambda argument, _: images.figure(argument),
    "options": options.options_table,
    "sections": options.sections,
    "parts": options.parts_table,
    "presets": measured.presets_table,
}


def pages() -> list[Path]:
    """The README and every page of docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def make(name: str, argument: str, page: Page) -> str:
    """The text of a region; raises KeyError where there is no such region, option or image."""
    return MAKE[name](argument, page)


def outdated() -> dict[Path, str]:
    """The pages that are not current, with the text they should have."""
    found = {}
    for path in pages():
        page = Page.read(path)
        text = page.rendered(make)
        if text != page.text:
            found[path] = text
    return found


def main() -> int:
    """Write or check; the exit status."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    changed = outdated()
    for path, text in changed.items():
        if not check:
            path.write_text(text, encoding="utf-8")
        print(
            f"{path.relative_to(ROOT)}: {f'not current, run `{COMMAND}`' if check else 'written'}"
        )
    return int(check and bool(changed))


if __name__ == "__main__":
    raise SystemExit(main())
