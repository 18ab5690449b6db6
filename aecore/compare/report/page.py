"""report.html: the comparison as one page that needs nothing else, on any screen."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from urllib.parse import quote

from aecore.compare.notes import notes_on
from aecore.compare.report.cells import (
    heading,
    key_headings,
    marked,
    mean_cell,
    metric_heading,
    number_cell,
    sortable,
    value_cell,
)
from aecore.compare.report.drawing import COLOURS, MOST_ROWS, draw
from aecore.compare.report.files import link
from aecore.compare.report.plan import plan
from aecore.compare.report.strips import picture, strip_of
from aecore.compare.report.text import main_metrics, number, run_label
from aecore.compare.runs import ComparedRun
from aecore.compare.table import Group, Table

_PLOTS = 6
_ALSO = ("test/kl", "train/seconds")  # drawn where there is room
_STRIPS = 60


def to_html(
    table: Table,
    title: str,
    out: Path,
    extra: Mapping[str, Path],
    figures: Mapping[str, Path],
) -> str:
    """The whole page. Everything that comes from a run is escaped, and no script but ours runs.

    extra: further images, caption -> PNG file. figures: joint figures of all runs; they
    are tall, so compact parts come before them.
    """
    css, js = _asset("report.css"), _asset("report.js")
    digest = base64.b64encode(hashlib.sha256(js.encode()).digest()).decode()
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )
    groups = _groups(table) if table.averaged else ""
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="quiet">{escape(_lead(table))}</p>',
        _notes(notes_on(table)),
        groups,
        _plots(table),
        *(_section(caption, _linked(file, caption, out)) for caption, file in extra.items()),
        _runs(table, out, mark=not groups),
        _troubles(table, out),
        *(_section(caption, _linked(file, caption, out)) for caption, file in figures.items()),
        _strips(table, out),
    ]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            '<head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            f"<style>{css}</style></head>",
            "<body><main>",
            *(part for part in body if part),
            "</main>",
            f"<script>{js}</script></body></html>\n",
        ]
    )


@cache
def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _lead(table: Table) -> str:
    """`12 runs, 1 failed; varied: model, latent.dim`."""
    counts = [f"{len(table.runs)} run{'' if len(table.runs) == 1 else 's'}"]
    for state in ("failed", "unfinished"):
        found = sum(run.state == state for run in table.runs)
        counts += [f"{found} {state}"] if found else []
    over = f"; varied: {', '.join(table.keys)}" if table.keys else ""
    return ", ".join(counts) + over


def _notes(notes: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<ul class="notes">{items}</ul>' if items else ""


def _groups(table: Table) -> str:
    groups = [group for group in table.groups if group.finished]
    headings = [
        *key_headings(table.keys, [group.values for group in groups]),
        heading("seeds", numeric=True),
        *(metric_heading(name, table.direction(name)) for name in table.metrics),
    ]
    rows = []
    for group in groups:
        cells = [value_cell(group.values, key) for key in table.keys]
        cells.append(number_cell(str(group.finished), group.finished))
        cells += [mean_cell(group.stats[name], group) for name in table.metrics]
        rows.append("".join(cells))
    caption = "Mean ± sample standard deviation over seeds. Click a heading to sort."
    return _section("Summary", sortable("Summary", headings, rows), caption)


def _runs(table: Table, out: Path, *, mark: bool) -> str:
    keys = (*table.keys, "seed")
    headings = [
        heading("run", numeric=False),
        heading("state", numeric=False),
        *key_headings(keys, [run.values for run in table.runs]),
        *(metric_heading(name, table.direction(name)) for name in table.metrics),
    ]
    rows = []
    for group in table.groups if mark else ():
        rows += [_run(run, table, out, group) for run in group.runs]
    rows = rows or [_run(run, table, out) for run in table.runs]
    caption = "" if table.averaged else "Click a heading to sort."
    return _section("Runs", sortable("Runs", headings, rows), caption)


def _run(run: ComparedRun, table: Table, out: Path, group: Group | None = None) -> str:
    """A row; with a group its best values are marked."""
    css = ' class="failed"' if run.state == "failed" else ""
    name = escape(run.name)
    cells = [
        f'<td data-value="{name}"><a href="{_href(run, out)}">{name}</a></td>',
        f"<td{css}>{run.state}</td>",
        *(value_cell(run.values, key) for key in (*table.keys, "seed")),
    ]
    for metric in table.metrics:
        value = (run.metrics or {}).get(metric)
        best = group is not None and group.stats[metric].best and value is not None
        cells.append(number_cell("" if value is None else number(value), value, best=best))
    return "".join(cells)


def _href(run: ComparedRun, out: Path) -> str:
    return _address(run.folder, out) + "/"


def _address(path: Path, out: Path) -> str:
    return quote(os.fsencode(link(path, out)), safe="/.~-_")


def _linked(file: Path, caption: str, out: Path) -> str:
    """An image that links to its file, in full size."""
    shown = picture(file, caption)
    return f'<a href="{_address(file, out)}">{shown}</a>' if shown else ""


def _section(title: str, content: str, caption: str = "") -> str:
    under = f'<p class="quiet">{escape(caption)}</p>' if caption else ""
    return f"<section><h2>{escape(title)}</h2>\n{under}{content}</section>"


def _plots(table: Table) -> str:
    chosen = plan(table)
    if chosen is None:
        return ""
    legend = "".join(
        f'<li><i style="--colour:{COLOURS[colour]}"></i>{escape(name)}</li>'
        for name, colour in chosen.legend
    )
    metrics = main_metrics(table, _PLOTS)
    metrics += [name for name in _ALSO if name in table.metrics and name not in metrics]
    figures = "\n".join(
        f"<figure><figcaption>{escape(marked(metric, table.direction(metric)))}</figcaption>"
        f"{draw(chosen, metric, f'{n}')}</figure>"
        for n, metric in enumerate(metrics[:_PLOTS])
    )
    cut = chosen.kind == "dots" and len(chosen.positions(chosen.x)) > MOST_ROWS
    caption = f"The first {MOST_ROWS} values of {chosen.x} are drawn." if cut else ""
    keys = f'<ul class="legend">{legend}</ul>' if legend else ""
    return _section("Plots", f'{keys}<div class="plots">{figures}</div>', caption)


def _troubles(table: Table, out: Path) -> str:
    parts = []
    for state, title in (("failed", "Failed"), ("unfinished", "Unfinished")):
        runs = [run for run in table.runs if run.state == state]
        items = "".join(
            f'<li><a href="{_href(run, out)}">{escape(run_label(run, table))}</a>'
            f"<code>{escape(run.error or '')}</code></li>"
            for run in runs
        )
        if items:
            parts.append(_section(title, f'<ul class="errors">{items}</ul>'))
    return "\n".join(parts)


def _strips(table: Table, out: Path) -> str:
    runs = [run for group in table.groups for run in group.runs if run.state == "finished"]
    figures = []
    for run in runs[:_STRIPS]:
        found = strip_of(run.folder)
        if found is None:
            continue
        address, (width, height) = found
        name = escape(run_label(run, table))
        figures.append(
            f'<figure><figcaption><a href="{_href(run, out)}">{name}</a></figcaption>'
            f'<img src="{address}" width="{width}" height="{height}" loading="lazy"'
            f' alt="test images above their reconstructions, run {name}"></figure>'
        )
    if not figures:
        return ""
    cut = f" The first {_STRIPS} of {len(runs)} runs are shown." if len(runs) > _STRIPS else ""
    caption = "Test images above, reconstructions below." + cut
    return _section("Reconstructions", f'<div class="strips">{"".join(figures)}</div>', caption)
