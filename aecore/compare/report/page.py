"""report.html: the comparison as one page that needs nothing else, on any screen."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from urllib.parse import quote

import jinja2

from aecore.compare.notes import notes_on
from aecore.compare.report.drawing import COLOURS, MOST_ROWS, draw
from aecore.compare.report.files import link
from aecore.compare.report.pictures import Picture, data_address, picture, strip_of
from aecore.compare.report.plan import Plan, plan
from aecore.compare.report.text import main_metrics, number, run_label
from aecore.compare.runs import ComparedRun
from aecore.compare.table import Table
from aecore.compare.values import is_number, shown

_PLOTS = 6
_ALSO = ("test/kl", "train/seconds")  # drawn where there is room
_STRIPS = 60
_HEAVY = 1_500_000  # bytes of a figure
_HERE = Path(__file__).parent


def to_html(
    table: Table,
    title: str,
    out: Path,
    extra: Mapping[str, Path],
    figures: Mapping[str, Path],
) -> str:
    """The whole page. Everything that comes from a run is escaped, and no script but ours runs.

    extra: further images, caption -> PNG file. figures: joint figures of all runs, by name; they
    are tall, so compact parts come before them.
    """
    chosen = plan(table)
    return _template().render(
        table=table,
        title=title,
        notes=notes_on(table),
        numeric=_numeric(table),
        groups=[group for group in table.groups if group.finished],
        plan=chosen,
        plots=[] if chosen is None else list(_plots(table, chosen)),
        extra=[(caption, file, picture(file, _HEAVY)) for caption, file in extra.items()],
        figures=[
            (name.replace("_", " ").capitalize(), file, picture(file, _HEAVY))
            for name, file in figures.items()
            if name != "strip"  # the page shows those of all runs in any case
        ],
        strips=list(_strips(table)),
        address=lambda path: quote(os.fsencode(link(path, out)), safe="/.~-_"),
        label=lambda run: run_label(run, table),
    )


@cache
def _template() -> jinja2.Template:
    """The template, which escapes all that it is given, with what is the same for every page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    script = (_HERE / "report.js").read_text(encoding="utf-8")
    environment.globals |= {
        "script": script,
        "digest": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "arrows": {"lower": " ↓", "higher": " ↑", "none": ""},
        "colours": COLOURS,
        "most_rows": MOST_ROWS,
        "most_strips": _STRIPS,
    }
    environment.filters |= {"number": number, "shown": shown}
    environment.tests["numeric"] = is_number
    return environment.get_template("page.html")


def _numeric(table: Table) -> set[str]:
    """The keys whose values are numbers, which stand to the right."""
    return {
        key
        for key in (*table.keys, "seed")
        if all(is_number(run.values[key]) for run in table.runs if key in run.values)
    }


def _plots(table: Table, chosen: Plan) -> Iterator[tuple[str, str]]:
    """The first metrics and their plots."""
    also = [name for name in _ALSO if name in table.metrics]
    metrics = dict.fromkeys([*main_metrics(table, _PLOTS), *also])
    for metric in list(metrics)[:_PLOTS]:
        yield metric, data_address("svg+xml", draw(chosen, metric))


def _strips(table: Table) -> Iterator[tuple[ComparedRun, Picture]]:
    """The first runs that have reconstructions, and these."""
    runs = [run for group in table.groups for run in group.runs if run.state == "finished"]
    for run in runs[:_STRIPS]:
        strip = strip_of(run.folder)
        if strip is not None:
            yield run, strip
