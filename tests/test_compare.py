"""Comparisons of runs: folders written by hand, the numbers against numpy, one real sweep."""

from __future__ import annotations

import csv
import html
import io
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import making
import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from aecore.cli import main
from aecore.compare import compare, direction, gather, notes_on, select, summarise, varied
from aecore.compare.drawing import is_logarithmic
from aecore.compare.plan import plan
from aecore.compare.text import number
from aecore.errors import UserError
from aecore.figures import NotApplicable, Strip, View, draw
from aecore.figures.strip import fixed_choice

WORDS = {"model": "ae", "dataset": "digits", "penalty": "none", "latent": "deterministic"}
CONFIG: dict[str, Any] = {
    "seed": 0,
    "paths": {"output_dir": "outputs"},
    "dataset": {"_target_": "aecore.data.Digits", "batch_size": 64},
    "latent": {"_target_": "aecore.latents.Deterministic", "dim": 2},
    "trainer": {"max_epochs": 3, "threads": 1},
}


def make(
    folder: Path,
    *,
    words: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    asked: list[str] | None = None,
    metrics: dict[str, float | None] | None = None,
    error: str | None = None,
) -> Path:
    """A run folder; `config` holds dotted keys, unfinished without metrics."""
    folder.mkdir(parents=True)
    whole = json.loads(json.dumps(CONFIG))
    for key, value in (config or {}).items():
        *parents, last = key.split(".")
        node = whole
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    record = {"words": WORDS | (words or {}), "overrides": asked or [], "revision": "abc"}
    (folder / "config.yaml").write_text(yaml.safe_dump(whole))
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "history.csv").write_text("epoch,train/loss\n1,3.0\n2,2.0\n")
    if metrics is not None:
        (folder / "metrics.json").write_text(json.dumps(metrics))
    if error is not None:
        (folder / "error.txt").write_text(error)
    return folder


def sweep(
    root: Path, dims: tuple[int, ...] = (2, 8), seeds: tuple[int, ...] = (0, 1, 2)
) -> list[Path]:
    """Finished runs over latent.dim and seed; mse = dim + seed^2."""
    pairs = [(dim, seed) for dim in dims for seed in seeds]
    return [
        make(
            root / str(n),
            config={"latent.dim": dim, "seed": seed},
            asked=[f"latent.dim={dim}", f"seed={seed}"],
            metrics={"test/mse": dim + seed**2, "test/psnr": -float(dim)},
        )
        for n, (dim, seed) in enumerate(pairs)
    ]


# --- what is read ---


def test_states_are_told_and_damage_is_no_crash(tmp_path: Path) -> None:
    done = make(tmp_path / "done", metrics={"test/mse": 1.0, "test/psnr": None})
    failed = make(tmp_path / "failed", error="\x1b[31mlatent.dim=0\x1b[0m: at least 1\nTraceback")
    running = make(tmp_path / "running")
    empty = tmp_path / "empty"
    empty.mkdir()
    torn = make(tmp_path / "torn", metrics={"test/mse": 1.0})
    (torn / "metrics.json").write_text('{"test/mse": 1')
    wrong = make(tmp_path / "wrong", metrics={"test/mse": 1.0})
    (wrong / "metrics.json").write_text('{"test/mse": "low"}')
    broken = make(tmp_path / "broken", metrics={"test/mse": 1.0})
    (broken / "config.yaml").write_bytes(b"\xff\xfe: [")
    executed = make(tmp_path / "executed", metrics={"test/mse": 1.0})
    (executed / "config.yaml").write_text("a: !!python/object/apply:os.mkdir [evil]")
    runs = gather([done, failed, running, empty, tmp_path / "no", torn, wrong, broken, executed])
    assert [run.state for run in runs] == ["finished", "failed", *["unfinished"] * 7]
    assert [run.error for run in runs] == [
        None, "latent.dim=0: at least 1", "running or interrupted, 2 of 3 epochs done",
        "not started", "not started", "metrics.json is damaged",
        "metrics.json is damaged (test/mse is no number)", "config.yaml is damaged",
        "config.yaml is damaged",
    ]  # fmt: skip
    assert runs[0].metrics == {"test/mse": 1.0, "test/psnr": None}
    assert runs[0].epochs == 2
    assert all(run.metrics is None for run in runs[1:])
    assert runs[0].values["latent.dim"] == 2
    assert runs[0].values["model"] == "ae"


def test_a_grid_tells_the_values_of_jobs_that_left_nothing(tmp_path: Path) -> None:
    folders = [*sweep(tmp_path, (2,), (0,)), tmp_path / "missing"]
    grid = [{"latent.dim": "2", "penalty.kl.weight": "1e-3"}, {"latent.dim": "8", "model": "vae"}]
    one, other = gather(folders, grid)
    assert one.values["penalty.kl.weight"] == 1e-3
    assert other.values == {"latent.dim": 8, "model": "vae"}
    with pytest.raises(ValueError, match="2 folders but 1"):
        gather(folders, grid[:1])


# --- what differs ---


def test_varied_keys_are_words_then_asked_keys_without_what_follows(tmp_path: Path) -> None:
    kl = {"penalty.kl._target_": "aecore.penalties.KL", "penalty.kl.weight": 1.0}
    folders = [
        make(
            tmp_path / f"{model}{dim}{seed}",
            words={"model": model, "penalty": "kl" if model == "vae" else "none"},
            config={
                "seed": seed, "latent.dim": dim, "paths.output_dir": f"out{dim}",
                "trainer.threads": dim, **(kl if model == "vae" else {}),
            },
            asked=[f"model={model}", f"latent.dim={dim}", f"seed={seed}"],
        )
        for model in ("ae", "vae") for dim in (2, 8) for seed in (0, 1)
    ]  # fmt: skip
    assert varied(gather(folders)) == ["model", "latent.dim"]


def test_what_no_chosen_key_explains_is_varied_though_nobody_asked(tmp_path: Path) -> None:
    one = make(tmp_path / "a", config={"latent.dim": 2})
    two = make(tmp_path / "b", config={"latent.dim": 8})
    assert varied(gather([one, two])) == ["latent.dim"]
    assert varied(gather([one, one])) == []


def test_a_grid_decides_what_was_varied(tmp_path: Path) -> None:
    folders = sweep(tmp_path)
    grid = [
        {"latent.dim": str(d), "seed": str(s), "trainer.max_epochs": "3"}
        for d in (2, 8)
        for s in (0, 1, 2)
    ]
    assert varied(gather(folders, grid)) == ["latent.dim"]


def test_a_failed_job_without_a_configuration_varies_nothing_more(tmp_path: Path) -> None:
    folders = sweep(tmp_path)
    lost = tmp_path / "6"
    (lost / ".hydra").mkdir(parents=True)
    (lost / ".hydra" / "overrides.yaml").write_text(
        "- latent.dim=32\n- seed=0\n- latent.steps=[64,1e-3]\n- penalty=[l1,kl]\n- model='ae'\n"
    )
    for folder in folders:
        config = yaml.safe_load((folder / "config.yaml").read_text())
        config["latent"]["steps"] = [64, 0.001]
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        (folder / "run.json").write_text(
            json.dumps({"words": WORDS | {"penalty": ["l1", "kl"]}, "overrides": ["latent.dim=2"]})
        )
    (lost / "error.txt").write_text("no")
    table = summarise(gather([*folders, lost]))
    assert table.keys == ("latent.dim",)
    assert [(g.values["latent.dim"], g.finished) for g in table.groups] == [(2, 3), (8, 3), (32, 0)]


# --- groups and numbers ---


def test_means_and_deviations_over_seeds_are_numpys(tmp_path: Path) -> None:
    table = summarise(gather(sweep(tmp_path)))
    assert [group.values for group in table.groups] == [{"latent.dim": 2}, {"latent.dim": 8}]
    for group in table.groups:
        values = [run.metrics["test/mse"] for run in group.runs if run.metrics]
        stat = group.stats["test/mse"]
        assert stat.n == 3
        assert stat.mean == pytest.approx(np.mean(values), rel=1e-12)
        assert stat.std == pytest.approx(np.std(values, ddof=1), rel=1e-12)


def test_one_value_has_no_deviation_and_none_is_left_out(tmp_path: Path) -> None:
    one, other = sweep(tmp_path, (2,), (0, 1))
    (one / "metrics.json").write_text('{"test/mse": null}')
    table = summarise(gather([one, other]))
    (group,) = table.groups
    stat = group.stats["test/mse"]
    assert (stat.n, stat.mean, stat.std) == (1, 3.0, None)
    assert any("not finite" in note for note in notes_on(table))


@pytest.mark.parametrize(
    ("metric", "way"),
    [
        ("test/mse", "lower"), ("test/loss", "lower"), ("train/seconds", "lower"),
        ("test_noisy/mse", "lower"), ("test/psnr", "higher"), ("test/ssim", "higher"),
        ("test/elbo", "higher"), ("train/images_per_second", "higher"),
        ("test_noisy/input_mse", "none"), ("test/kl", "none"), ("test/charm", "none"),
    ],
)  # fmt: skip
def test_directions(metric: str, way: str) -> None:
    assert direction(metric) == way


def test_best_is_lowest_or_highest_by_direction(tmp_path: Path) -> None:
    values = [(3.0, 5.0, 1.0), (1.0, 9.0, 2.0), (2.0, 7.0, 3.0)]
    folders = [
        make(
            tmp_path / str(n),
            config={"latent.dim": n},
            metrics={"test/mse": mse, "test/psnr": psnr, "test/charm": charm},
        )
        for n, (mse, psnr, charm) in enumerate(values)
    ]
    groups = summarise(gather(folders)).groups
    best = {m: [g.stats[m].best for g in groups] for m in ("test/mse", "test/psnr", "test/charm")}
    assert best["test/mse"] == best["test/psnr"] == [False, True, False]
    assert best["test/charm"] == [False] * 3


def test_best_only_among_runs_on_the_same_data(tmp_path: Path) -> None:
    cases = [("mnist", 2, 5.0), ("mnist", 8, 4.0), ("digits", 2, 1.0), ("digits", 8, 2.0)]
    folders = [
        make(
            tmp_path / str(n),
            words={"dataset": dataset},
            config={"latent.dim": dim, "dataset.name": dataset},
            metrics={"test/mse": mse},
        )
        for n, (dataset, dim, mse) in enumerate(cases)
    ]
    table = summarise(gather(folders))
    assert [g.stats["test/mse"].best for g in table.groups] == [False, True, True, False]
    assert any("mnist, digits" in note for note in notes_on(table))
    assert notes_on(summarise(gather(folders[:2]))) == []


def test_losses_of_different_objectives_are_not_set_against_each_other(tmp_path: Path) -> None:
    cases = [("mse", 2, 9.0), ("mse", 8, 8.0), ("bernoulli", 2, 99.0), ("bernoulli", 8, 98.0)]
    folders = [
        make(
            tmp_path / str(n),
            words={"reconstruction": word},
            config={"latent.dim": dim},
            metrics={"test/loss": loss, "test/mse": loss},
        )
        for n, (word, dim, loss) in enumerate(cases)
    ]
    table = summarise(gather(folders))
    assert [g.stats["test/loss"].best for g in table.groups] == [False, True, False, True]
    assert [g.stats["test/mse"].best for g in table.groups] == [False, True, False, False]
    assert any(note.startswith("test/loss:") for note in notes_on(table))


def test_repeats_of_a_seed_are_told(tmp_path: Path) -> None:
    metrics: dict[str, float | None] = {"test/mse": 1.0}
    folders = [make(tmp_path / name, metrics=metrics) for name in "ab"]
    assert any("same seed" in note for note in notes_on(summarise(gather(folders))))


def test_numbers_sort_as_numbers_words_by_appearance(tmp_path: Path) -> None:
    cases = [("vae", 32), ("vae", 8), ("vae", 128), ("ae", 8)]
    folders = [
        make(tmp_path / str(n), words={"model": model}, config={"latent.dim": dim}, metrics={})
        for n, (model, dim) in enumerate(cases)
    ]
    groups = summarise(gather(folders)).groups
    found = [(g.values["model"], g.values["latent.dim"]) for g in groups]
    assert found == [("vae", 8), ("vae", 32), ("vae", 128), ("ae", 8)]


@pytest.mark.parametrize(
    ("value", "spread", "told"),
    [
        (0.0123456, None, "0.01235"), (18.1749, 0.0321, "18.17 ± 0.03"),
        (0.0489, 0.000244, "0.04890 ± 0.00024"), (1234.5, 10.0, "1234 ± 10"), (0.0, None, "0.000"),
        (1e-9, None, "1.000e-09"), (2.5, 0.0, "2.500 ± 0.000"),
    ],
)  # fmt: skip
def test_numbers_show_their_spread(value: float, spread: float | None, told: str) -> None:
    assert number(value, spread) == told


# --- pictures ---


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2, 8, 32], True), ([1, 2, 3, 4], False), ([0, 1, 10, 100], True), ([1, 10], True),
        ([0, 0.5, 1.0], False), ([-1, 1, 10], False), ([2, 4, 8, 16], True), ([1, 50, 100], False),
    ],
)  # fmt: skip
def test_axes_of_ratios_are_logarithmic(values: list[float], expected: bool) -> None:
    assert is_logarithmic(values) is expected


@pytest.mark.parametrize(
    ("keys", "kind", "series"),
    [
        ({"latent.dim": [2, 8, 32]}, "lines", 1),
        ({"model": ["ae", "vae"], "latent.dim": [2, 8]}, "lines", 2),
        ({"optimizer.lr": [0.1, 0.2], "latent.dim": [2, 8]}, "heat", 1),
        ({"model": ["ae", "vae", "pca"]}, "dots", 1),
        ({"model": ["ae", "vae"], "noise": ["none", "gaussian"], "latent.dim": [2, 8]}, "lines", 4),
        ({"model": ["ae"]}, None, 0),
    ],
)
def test_the_picture_suits_what_was_varied(
    tmp_path: Path, keys: dict[str, list[Any]], kind: str | None, series: int
) -> None:
    combos: list[dict[str, Any]] = [{}]
    for key, values in keys.items():
        combos = [{**combo, key: value} for combo in combos for value in values]
    folders = [
        make(
            tmp_path / str(n),
            words={k: v for k, v in combo.items() if "." not in k},
            config={k: v for k, v in combo.items() if "." in k},
            metrics={"test/mse": float(n + 1), "test/psnr": None},
        )
        for n, combo in enumerate(combos)
    ]
    chosen = plan(summarise(gather(folders)))
    assert (chosen and chosen.kind) == kind
    assert len(chosen.series if chosen else ()) == series
    page = compare(folders, tmp_path / "out", title="t").report.read_text()
    assert page.count("<svg") == (2 if kind else 0)


def test_a_random_search_is_points_without_a_legend(tmp_path: Path) -> None:
    folders = [
        make(
            tmp_path / str(n),
            config={"optimizer.lr": 1e-4 * 1.5**n, "latent.dim": 40 - n},
            asked=[f"optimizer.lr={1e-4 * 1.5**n}", f"latent.dim={40 - n}"],
            metrics={"test/mse": float(n)},
        )
        for n in range(12)
    ]
    chosen = plan(summarise(gather(folders)))
    assert chosen is not None
    assert (chosen.kind, len(chosen.series), chosen.legend) == ("lines", 12, [])


def png(folder: Path, name: str, size: tuple[int, int], noise: bool) -> None:
    (folder / "figures").mkdir(exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(pixels if noise else np.zeros_like(pixels))
    image.save(folder / "figures" / name)


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
    assert "run 0 (latent.dim 2)" in page


def test_at_most_sixty_strips_and_the_page_says_so(tmp_path: Path) -> None:
    folders = sweep(tmp_path, tuple(range(1, 62)), (0,))
    for folder in folders:
        png(folder, "strip.png", (6, 2), noise=False)
    page = compare(folders, tmp_path, title="t").report.read_text()
    assert page.count("<img") == 60
    assert "first 60 of 61 runs" in page


# --- files ---


def test_csv_has_a_row_a_run(tmp_path: Path) -> None:
    folders = [*sweep(tmp_path), make(tmp_path / "6", error='bad, "very"\n')]
    compare(folders, tmp_path / "out", title="t")
    text = (tmp_path / "out" / "summary.csv").read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == [
        "name", "state", "error", "latent.dim", "seed", "test/mse", "test/psnr"
    ]  # fmt: skip
    assert [row["name"] for row in rows] == [str(n) for n in range(7)]
    assert float(rows[4]["test/mse"]) == 9.0
    assert rows[6]["error"] == 'bad, "very"'
    assert rows[6]["test/mse"] == ""


def test_json_is_strict_and_relative(tmp_path: Path) -> None:
    folders = sweep(tmp_path)
    odd = make(
        tmp_path / "6",
        config={"latent.dim": math.inf},
        metrics={"test/mse": math.nan, "test/psnr": math.inf},  # Python's JSON, not everybody's
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
        names = ("summary.csv", "summary.json", "report.html")
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
    assert [tag for tag, _ in tags].count("img") == 0
    assert html.escape(EVIL) in page
    links = [attrs["href"] for tag, attrs in tags if tag == "a"]
    assert "%22%3E%3Cscript%3Ealert%28%273%27%29%3C%26script%3E%2520%24x%24/" in links


def test_the_page_stands_alone_and_sorts(tmp_path: Path) -> None:
    folders = sweep(tmp_path)
    png(folders[0], "strip.png", (60, 12), noise=False)
    page = compare(folders, tmp_path / "out", title="t").report.read_text()
    tags = Page(page).tags
    assert "://" not in page.replace("http://www.w3.org", "")
    sources = [attrs.get("src") or "" for _, attrs in tags if "src" in attrs]
    assert all(source.startswith("data:image/") for source in sources)
    assert not [tag for tag, _ in tags if tag in ("link", "iframe", "object", "base", "form")]
    heads = [attrs for tag, attrs in tags if tag == "th"]
    assert len(heads) == [tag for tag, _ in tags].count("button") == 10
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
    assert lines[2].split() == ["latent.dim", "seeds", "test/mse", "test/psnr"]
    assert lines[3].split() == ["2", "3", "3.667", "±", "2.082*", "-2.000", "±", "0.000*"]
    assert lines[4].split() == ["8", "3", "9.667", "±", "2.082", "-8.000", "±", "0.000"]
    assert "failed: 1 of 7" in lines
    assert "  6 (latent.dim 0 · seed 0): too small" in lines
    assert "\x1b" not in text


def test_no_finished_run_is_no_error(tmp_path: Path) -> None:
    folders = [make(tmp_path / "0"), make(tmp_path / "1", error="bad")]
    text = compare(folders, tmp_path, title="t").text
    assert "unfinished: 1 of 2\n  0: running or interrupted, 2 of 3 epochs done" in text
    assert "failed: 1 of 2\n  1: bad" in text
    assert compare([], tmp_path / "none", title="t").text == "t"


# --- which runs ---


def test_selection_by_path_pattern_list_and_sweep(tmp_path: Path) -> None:
    folders = sweep(tmp_path / "s", (2,), tuple(range(11)))
    (tmp_path / "s" / "11").mkdir()
    (tmp_path / "s" / "multirun.yaml").touch()
    whole = [*folders, tmp_path / "s" / "11"]
    assert select(str(tmp_path / "s")) == whole, "natural order, the job not begun included"
    assert select(str(tmp_path / "s" / "*")) == whole
    assert select(str(tmp_path)) == whole
    assert select(f"{folders[3]},{tmp_path / 's' / '[12]'}") == [folders[3], folders[1], folders[2]]
    assert select(f"[{folders[1]}, '{folders[0]}']") == [folders[1], folders[0]]
    assert select([str(folders[2]), str(folders[2])]) == [folders[2]]


@pytest.mark.parametrize("name", ["a b", "lr=0.1,dim=[2]", "[ab]", "it's", "x*"])
def test_a_path_that_exists_is_no_pattern(tmp_path: Path, name: str) -> None:
    folder = make(tmp_path / name / "0")
    make(tmp_path / "a" / "0")
    make(tmp_path / "xy" / "0")
    assert select(str(folder)) == select(str(tmp_path / name)) == [folder]
    assert select(str(tmp_path / name / "*")) == [folder]


def test_nothing_selected_says_where_it_looked(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match=rf"looked in {tmp_path}/there\)\n.*task=list"):
        select(str(tmp_path / "there" / "none*"))


# --- the strip ---


def test_a_strip_shows_the_same_images_whatever_the_seed(tmp_path: Path) -> None:
    labels = torch.tensor([2, 2, 0, 1, 0, 1])
    assert fixed_choice(labels, 6, 3).tolist() == [2, 3, 0]
    assert fixed_choice(labels, 6, 5).tolist() == [2, 4, 3, 5, 0]
    assert fixed_choice(None, 6, 2).tolist() == [0, 1]
    x = making.images(6, 1, 4, 4)
    for seed in (0, 1):
        view = View(model=making.model().eval(), images=x, labels=labels, seed=seed)
        draw({str(seed): Strip(columns=3)}, view, tmp_path)
    assert (tmp_path / "0.png").read_bytes() == (tmp_path / "1.png").read_bytes()
    pixels = np.asarray(Image.open(tmp_path / "0.png")).astype(float)
    assert pixels.shape == (2 * 56 + 2, 3 * 56 + 4, 4)
    corners = x[[2, 3, 0], 0, 0, 0].numpy() * 255
    np.testing.assert_allclose(pixels[0, [0, 58, 116], 0], corners, atol=1)
    assert (pixels[56:58, :, 3] == 0).all(), "gaps are transparent"
    rebuilt = view.model.reconstruct(x)[2, 0, 0, 0].clamp(0, 1).item() * 255
    assert pixels[58, 0, 0] == pytest.approx(rebuilt, abs=1)


def test_a_strip_is_small_for_large_images_and_none_for_tables() -> None:
    large = making.model(image_shape=(3, 64, 80)).eval()
    figure = Strip(columns=2)(View(model=large, images=making.images(2, 3, 64, 80)))
    assert (figure.get_size_inches() * 100).round().tolist() == [2 * 56 + 2, 2 * 45 + 2]
    table = making.model(image_shape=(1, 1, 5)).eval()
    with pytest.raises(NotApplicable):
        Strip(columns=2)(View(model=table, images=making.images(3, 1, 1, 5)))


# --- the command line ---


def test_a_real_sweep_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    argv = ["model=ae,pca", "latent.dim=2,3", "trainer=debug", "figures=strip", "logger=none"]
    assert main(["-m", *argv, "hydra.sweep.dir=outputs/sweeps/grid/a b"]) == 0
    capsys.readouterr()
    written = {p: p.read_bytes() for p in Path("outputs/sweeps/grid/a b").iterdir() if p.is_file()}
    assert main(["task=compare", "runs=outputs/sweeps/grid/a b/*"]) == 0
    assert {p: p.read_bytes() for p in written} == written, "the sweep had written the same"
    out = capsys.readouterr().out
    assert "report  outputs/sweeps/grid/a b/report.html" in out
    rows = list(
        csv.DictReader(Path("outputs/sweeps/grid/a b/summary.csv").read_text().splitlines())
    )
    assert [(r["name"], r["state"], r["model"], r["latent.dim"]) for r in rows] == [
        ("0", "finished", "ae", "2"), ("1", "finished", "ae", "3"),
        ("2", "finished", "pca", "2"), ("3", "finished", "pca", "3"),
    ]  # fmt: skip
    page = Path("outputs/sweeps/grid/a b/report.html").read_text()
    assert page.count("<img") == 4
    assert main(["task=compare", "runs=outputs/sweeps/grid/a b/0,outputs/sweeps/grid/a b/3"]) == 0
    assert len(list(Path("outputs/comparisons").glob("*/report.html"))) == 1
    assert main(["task=compare", "runs=[outputs/sweeps/grid/a b/1]", "out=my [out],1"]) == 0
    assert Path("my [out],1/report.html").is_file()


def test_wrong_selections_are_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["task=compare"]) == 2
    assert "runs='outputs/sweeps/x/*'" in capsys.readouterr().err
    assert main(["task=compare", "runs=nowhere/*"]) == 2
    assert "runs=nowhere/*: no run there" in capsys.readouterr().err
    folder = make(tmp_path / "run", metrics={"test/mse": 1.0})
    assert main(["task=compare", f"runs={folder}", f"out={folder}"]) == 2
    assert "is itself a run" in capsys.readouterr().err
    assert not Path("outputs").exists()
