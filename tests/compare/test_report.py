"""The report of compared runs: its strips, tables, page and text."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import markupsafe
import numpy as np
import pytest
import torch
from PIL import Image

from aecore.compare.compare import compare
from aecore.data.split import Split
from aecore.errors import SkippedError
from aecore.evaluation.figures.draw import draw_figures
from aecore.evaluation.figures.strip import Strip, first_of_each_class
from aecore.evaluation.trial import Trial
from helpers import models as making
from helpers.run_folders import make, png, sweep

# --- pictures ---


def test_strips_stand_for_runs_and_other_figures_for_strips(tmp_path: Path) -> None:
    folders = sweep(tmp_path, (2, 4, 8, 16), (0,))
    png(folders[0], "strip.png", (60, 12), noise=False)
    png(folders[0], "reconstructions.png", (70, 12), noise=False)
    png(folders[1], "reconstructions.png", (1000, 300), noise=True)
    (folders[2] / "figures").mkdir()
    (folders[2] / "figures" / "strip.png").write_bytes(b"\x89PNG torn")
    page = compare(folders, tmp_path, title="t").report.read_text()
    found = re.findall(
        r'<img src="data:image/(\w+);base64,[^"]*" width="(\d+)" height="(\d+)"', page
    )
    assert found == [("png", "60", "12"), ("jpeg", "640", "192")]
    assert "run 0 (latent.dim=2)" in page


def test_at_most_sixty_strips_and_the_page_says_so(tmp_path: Path) -> None:
    folders = sweep(tmp_path, tuple(range(1, 62)), (0,))
    for folder in folders:
        png(folder, "strip.png", (6, 2), noise=False)
    page = compare(folders, tmp_path, title="t").report.read_text()
    assert page.count("data:image/png") == 60
    assert "first 60 of 61 runs" in page


# --- files ---


def test_csv_has_a_row_a_run(tmp_path: Path) -> None:
    folders = [*sweep(tmp_path), make(tmp_path / "6", error='bad, "very"\n')]
    compare(folders, tmp_path / "out", title="t")
    text = (tmp_path / "out" / "summary.csv").read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == [
        "name", "state", "error", "latent.dim", "seed", "val/mse", "test/mse",
        "test/psnr",
    ]  # fmt: skip
    assert [row["name"] for row in rows] == [str(n) for n in range(7)]
    assert float(rows[4]["test/mse"]) == 9.0
    assert rows[6]["error"] == 'bad, "very"'
    assert rows[6]["test/mse"] == ""


def test_csv_has_a_row_a_group(tmp_path: Path) -> None:
    """Means, deviations and numbers of values over seeds, with every digit."""
    folders = sweep(tmp_path)
    (folders[5] / "metrics.json").write_text('{"val/mse": 1, "test/mse": null}')
    compare([*folders, make(tmp_path / "6", error="bad")], tmp_path / "out", title="t")
    one, other = csv.DictReader((tmp_path / "out" / "groups.csv").read_text().splitlines())
    assert list(one)[:5] == ["latent.dim", "finished", "val/mse_mean", "val/mse_std", "val/mse_n"]
    assert (one["latent.dim"], one["finished"], one["test/mse_n"]) == ("2", "3", "3")
    assert float(one["test/mse_mean"]) == pytest.approx(2 + 5 / 3, rel=1e-15)
    assert float(one["test/mse_std"]) == pytest.approx(np.std([0, 1, 4], ddof=1), rel=1e-15)
    assert (other["test/mse_mean"], other["test/mse_n"]) == ("8.5", "2")


def test_json_is_strict_and_relative(tmp_path: Path) -> None:
    folders = sweep(tmp_path)
    odd = make(
        tmp_path / "6",
        config={"latent.dim": math.inf},
        metrics={"test/mse": None, "test/psnr": None},
    )
    compare([*folders, odd], tmp_path / "out", title="t")

    def refuse(name: str) -> None:
        raise AssertionError(name)

    text = (tmp_path / "out" / "summary.json").read_text()
    assert str(tmp_path) not in text
    found = json.loads(text, parse_constant=refuse)
    assert found["varied"] == ["latent.dim"]
    assert found["runs"][0]["folder"] == "../0"
    assert found["runs"][6]["metrics"] == {"test/mse": None, "test/psnr": None}
    group = found["groups"][0]
    assert group["runs"] == ["0", "1", "2"]
    assert group["metrics"]["test/mse"] == {
        "n": 3, "mean": pytest.approx(2 + 5 / 3), "std": pytest.approx(np.std([0, 1, 4], ddof=1)),
        "best": True,
    }  # fmt: skip


def test_the_same_runs_give_the_same_bytes_anywhere(tmp_path: Path) -> None:
    written = []
    for place in ("here", "elsewhere/deep"):
        folders = [*sweep(tmp_path / place), make(tmp_path / place / "6", error="bad")]
        png(folders[0], "strip.png", (60, 12), noise=True)
        compare(folders, tmp_path / place, title="t")
        names = ("summary.csv", "groups.csv", "summary.json", "report.html")
        written.append([(tmp_path / place / name).read_bytes() for name in names])
    assert written[0] == written[1]
    assert not list(tmp_path.rglob("*.tmp"))


class Page(HTMLParser):
    """What a browser would act on."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


EVIL = '<script>alert("1")</script><img src=x onerror=alert(2)>'


def test_nothing_of_a_run_is_executed_by_the_page(tmp_path: Path) -> None:
    name = "\"><script>alert('3')<&script>%20$x$"
    folders = [
        make(tmp_path / "a", words={"model": EVIL}, metrics={"test/mse": 1.0, f"test/{EVIL}": 1.0}),
        make(tmp_path / name, words={"model": "$x^{"}, metrics={"test/mse": 2.0}),
        make(tmp_path / "c", words={"model": "'onload='"}, error=EVIL),
    ]
    page = compare(folders, tmp_path, title=EVIL).report.read_text()
    tags = Page(page).tags
    assert [tag for tag, _ in tags].count("script") == 1
    assert all(not key.startswith("on") for _, attrs in tags for key in attrs)
    sources = [attrs["src"] or "" for tag, attrs in tags if tag == "img"]
    assert len(sources) == 2 and all(s.startswith("data:image/svg+xml;base64,") for s in sources)
    assert str(markupsafe.escape(EVIL)) in page
    links = [attrs["href"] for tag, attrs in tags if tag == "a"]
    assert "%22%3E%3Cscript%3Ealert%28%273%27%29%3C%26script%3E%2520%24x%24/" in links


@pytest.mark.parametrize("text", ["\x1b[1m\x00\x07", "\u202e\ufffe", "a\nb--><b>", "中文"])
def test_plots_are_valid_whatever_their_labels_are(tmp_path: Path, text: str) -> None:
    words = [{"model": f"{text}{n}", "noise": text} for n in range(2)]
    folders = [
        make(tmp_path / str(n), words=word, metrics={f"test/{text}": n, "test/mse": n})
        for n, word in enumerate(words)
    ]
    page = compare(folders, tmp_path / "out", title="t").report.read_text()
    plots = re.findall(r'src="data:image/svg\+xml;base64,([^"]*)"', page)
    assert len(plots) == 2
    for plot in plots:
        ElementTree.fromstring(base64.b64decode(plot))


def test_a_logarithmic_axis_within_two_powers_of_ten_has_several_numbers(tmp_path: Path) -> None:
    folders = [
        make(tmp_path / str(n), config={"latent.dim": 2 * 4**n}, metrics={"test/mse": mse})
        for n, mse in enumerate((0.053, 0.012, 0.0025))
    ]
    page = compare(folders, tmp_path / "out", title="t").report.read_text()
    (plot,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]*)"', page)
    texts = {e.text for e in ElementTree.fromstring(base64.b64decode(plot)).iter() if e.text}
    assert {"0.005", "0.01", "0.02", "0.05"} <= texts


def test_the_script_is_the_one_that_the_policy_allows(tmp_path: Path) -> None:
    page = compare(sweep(tmp_path), tmp_path / "out", title="t").report.read_text()
    policy = next(a["content"] for tag, a in Page(page).tags if a.get("http-equiv"))
    script = page.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )


def test_the_page_stands_alone_and_sorts(tmp_path: Path) -> None:
    folders = sweep(tmp_path)
    png(folders[0], "strip.png", (60, 12), noise=False)
    page = compare(folders, tmp_path / "out", title="t").report.read_text()
    tags = Page(page).tags
    assert "://" not in page.replace("http://www.w3.org", "")
    sources = [attrs.get("src") or "" for _, attrs in tags if "src" in attrs]
    assert all(source.startswith("data:image/") for source in sources)
    assert not [tag for tag, _ in tags if tag in ("link", "iframe", "object", "base", "form")]
    pinned = {attrs["id"]: attrs["data-pinned"] for tag, attrs in tags if tag == "table"}
    assert pinned == {"groups": "1", "runs": "3"}, "latent.dim; run, latent.dim, seed"
    heads = [attrs for tag, attrs in tags if tag == "th"]
    assert len(heads) == [tag for tag, _ in tags].count("button") == 12
    identifiers = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(identifiers) == len(set(identifiers))
    links = [attrs["href"] for tag, attrs in tags if tag == "a"]
    assert links[:2] == ["../0/", "../1/"]
    assert 'data-value="2" title="2"' in page


# --- text ---


def test_text_has_means_failures_and_the_best(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [*sweep(tmp_path), make(tmp_path / "6", config={"latent.dim": 0}, error="too small")]
    text = compare(folders, tmp_path / "out", title="My runs").text
    lines = text.splitlines()
    assert lines[0] == "My runs"
    assert lines[2].split() == ["latent.dim", "seeds", "val/mse", "test/mse", "test/psnr"]
    assert lines[3].split() == ["2", "3", *["3.667", "±", "2.082*"] * 2, "-2.000", "±", "0.000"]
    assert lines[4].split() == ["8", "3", *["9.667", "±", "2.082"] * 2, "-8.000", "±", "0.000"]
    assert "failed: 1 of 7" in lines
    assert "  6 (latent.dim=0 · seed=0): too small" in lines
    assert "\x1b" not in text


def test_no_finished_run_is_no_error(tmp_path: Path) -> None:
    folders = [make(tmp_path / "0"), make(tmp_path / "1", error="bad")]
    text = compare(folders, tmp_path, title="t").text
    assert "unfinished: 1 of 2\n  0: running or interrupted, 2 of 3 epochs done" in text
    assert "failed: 1 of 2\n  1: bad" in text
    assert compare([], tmp_path / "none", title="t").text == "t"


# --- the strip ---


def test_a_strip_shows_the_same_images_whatever_the_seed(tmp_path: Path) -> None:
    labels = torch.tensor([2, 2, 0, 1, 0, 1])
    assert first_of_each_class(labels, 6, 3).tolist() == [2, 3, 0]
    assert first_of_each_class(labels, 6, 5).tolist() == [2, 4, 3, 5, 0]
    assert first_of_each_class(None, 6, 2).tolist() == [0, 1]
    x = making.images(6, 1, 4, 4)
    for seed in (0, 1):
        trial = Trial(making.model().eval(), Split(x, labels), seed=seed)
        draw_figures({str(seed): Strip(columns=3)}, trial, tmp_path)
    assert (tmp_path / "0.png").read_bytes() == (tmp_path / "1.png").read_bytes()
    pixels = np.asarray(Image.open(tmp_path / "0.png")).astype(float)
    assert pixels.shape == (2 * 56 + 2, 3 * 56 + 4, 4)
    corners = x[[2, 3, 0], 0, 0, 0].numpy() * 255
    np.testing.assert_allclose(pixels[0, [0, 58, 116], 0], corners, atol=1)
    assert (pixels[56:58, :, 3] == 0).all(), "gaps are transparent"
    rebuilt = trial.model.reconstruct(x)[2, 0, 0, 0].clamp(0, 1).item() * 255
    assert pixels[58, 0, 0] == pytest.approx(rebuilt, abs=1)


def test_a_strip_is_small_for_large_images_and_none_for_tables() -> None:
    large = making.model(image_shape=(3, 64, 80)).eval()
    figure = Strip(columns=2)(Trial(large, Split(making.images(2, 3, 64, 80))))
    assert (figure.get_size_inches() * 100).round().tolist() == [2 * 56 + 2, 2 * 45 + 2]
    table = making.model(image_shape=(1, 1, 5)).eval()
    with pytest.raises(SkippedError):
        Strip(columns=2)(Trial(table, Split(making.images(3, 1, 1, 5))))


def test_no_cell_is_a_formula(tmp_path: Path) -> None:
    """Text from a run that a spreadsheet would compute gets an apostrophe; numbers stay numbers."""
    evil = ['=HYPERLINK("http://x")', "+1+1", "@SUM(1)", "-1+2", "plain", -5, -0.5]
    folders = [
        make(tmp_path / f"={n}", config={"latent.dim": text, "seed": -n}, metrics={"test/mse": -1})
        for n, text in enumerate(evil)
    ]
    failed = make(tmp_path / "f", config={"latent.dim": 5}, error="=1+1 failed")
    compare([*folders, failed], tmp_path / "out", title="t")
    rows = list(csv.DictReader((tmp_path / "out" / "summary.csv").read_text().splitlines()))
    cells = [*(f"'{text}" for text in evil[:4]), "plain", "-5", "-0.5", "5"]
    assert [row["latent.dim"] for row in rows] == cells
    assert rows[-1]["error"] == "'=1+1 failed"
    assert [row["name"] for row in rows[:2]] == ["'=0", "'=1"]
    assert [float(row["test/mse"]) for row in rows[:-1]] == [-1] * 7
    assert [row["seed"] for row in rows[1:3]] == ["-1", "-2"]
    groups = csv.DictReader((tmp_path / "out" / "groups.csv").read_text().splitlines())
    assert {row["latent.dim"] for row in groups} == set(cells)


def test_no_heading_is_a_formula(tmp_path: Path) -> None:
    name, metric = "=latent.evil", '=HYPERLINK("http://x")'
    for n in range(2):
        make(tmp_path / str(n), config={name: n}, metrics={metric: n})
    compare([tmp_path / "0", tmp_path / "1"], tmp_path / "out", title="t")
    for file in ("summary.csv", "groups.csv"):
        (header, *_) = csv.reader((tmp_path / "out" / file).read_text().splitlines())
        assert f"'{name}" in header and any(cell.startswith(f"'{metric}") for cell in header)
        assert not any(cell.startswith("=") for cell in header)
