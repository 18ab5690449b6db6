"""Pages read the same on GitHub and on the site: current, without directives, with whole links."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import pytest

from aecore.config.folders import ROOT, groups
from docs import build
from docs.making.options import SELECTIONS
from docs.making.page import Page, slug
from helpers.docs_code import PAGES

TEXTS = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "SECURITY.md"]
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^()\s]+(?:\([^()\s]*\)[^()\s]*)*)\)")


def without_code(page: Path) -> str:
    return CODE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> list[str]:
    """Those of the headings of a page, in order."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return [slug(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)]


def test_generated_regions_are_current() -> None:
    names = [str(path.relative_to(ROOT)) for path in build.outdated()]
    assert not names, f"not current: {', '.join(names)}\nrun `{build.COMMAND}`"


def test_regions_are_written_anew(tmp_path: Path) -> None:
    page = Page(
        tmp_path / "page.md",
        "# A\n\n<!-- generated: one two three -->\nold\n<!-- /generated -->\n\nby hand\n"
        "<!-- generated: none -->\n\nold\n\n<!-- /generated -->\n",
    )
    assert page.regions == [("one", "two three"), ("none", "")]
    new = page.rendered(lambda name, argument, _: argument and f"[{name}](ROOT/{argument[:3]})")
    up = os.path.relpath(ROOT, tmp_path)
    assert new == (
        f"# A\n\n<!-- generated: one two three -->\n\n[one]({up}/two)\n\n<!-- /generated -->\n\n"
        "by hand\n<!-- generated: none -->\n<!-- /generated -->\n"
    )


def test_every_group_has_a_table_and_room_for_new_options() -> None:
    regions = [(page, *region) for page in PAGES for region in Page.read(page).regions]
    tables = {argument: page for page, name, argument in regions if name == "options"}
    rooms = {argument: page for page, name, argument in regions if name == "sections"}
    assert sorted(tables) == sorted(groups())
    assert rooms == {group: page for group, page in tables.items() if group not in SELECTIONS}


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.stem)
def test_nothing_but_plain_markdown(page: Path) -> None:
    text = without_code(page)
    assert not re.search(r"^(\{\{|:::|!!!|\?\?\?|=== )|\]\[aecore|\{: |\$\$", text, re.MULTILINE)
    # GitHub takes the backslash before a sign for Markdown's, other than in a fence
    assert not re.search(r"\$[^$\n]*\\[^\w\s][^$\n]*\$", text)


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.stem)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target in LINK.findall(without_code(page)):
        place, _, anchor = target.partition("#")
        if not place.startswith(("http:", "https:", "mailto:")):
            file = page.parent / place if place else page
            assert file.exists(), f"{page.name}: {target}"
            # on the site there is nothing beside the pages
            assert "../docs/" not in target, f"{page.name}: {target}"
            assert not anchor or anchor in anchors(file), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_headings_are_unique(page: Path) -> None:
    """GitHub and the site number equal ones differently."""
    assert [name for name, count in Counter(anchors(page)).items() if count > 1] == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
