"""Compared runs: their groups, numbers and best, and the picture that suits them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aecore.compare.compare import compare
from aecore.compare.metrics import direction, reports_of
from aecore.compare.notes import notes_on
from aecore.compare.report.drawing import is_logarithmic
from aecore.compare.report.plan import plan
from aecore.compare.report.text import number, to_text
from aecore.compare.runs import gather
from aecore.compare.table import summarise
from helpers.evaluation import every_metric
from helpers.run_folders import make, sweep

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
        ("test/nll", "lower"), ("test/iwae", "lower"), ("test/elbo_gap", "none"),
        ("test_noisy/input_mse", "none"), ("test/kl", "none"), ("test/charm", "none"),
        ("test/activity/dead_units", "lower"), ("test/identity_distance", "lower"),
        ("test/quantised_mse", "lower"), ("test/compression", "higher"),
        ("test/quantised_compression", "higher"), ("test/auroc_kmnist", "higher"),
        ("test/ap_kmnist_elbo", "higher"), ("test/knn_accuracy", "higher"),
        ("test/frechet_cnn_samples", "lower"), ("test/frechet_cnn_training", "none"),
        ("test/bits_per_dim", "lower"), ("test/recall_cnn", "higher"),
        ("test/pca_mse", "none"), ("test/code_rank", "none"),
        ("test/jacobian_norm", "none"), ("test/bits_per_code", "none"),
        ("test/activity/code", "none"), ("test/mig", "higher"), ("test/sap", "higher"),
        ("test/dci_completeness", "higher"), ("test/factor_vae_score", "higher"),
        ("val/knn_accuracy", "higher"), ("test/kl_dim/3", "none"),
    ],
)  # fmt: skip
def test_directions(tmp_path: Path, metric: str, way: str) -> None:
    run = make(tmp_path / "run", config={"evaluate.metrics": every_metric()})
    assert direction(reports_of(gather([run])), metric) == way


def test_best_is_chosen_by_the_validation_images(tmp_path: Path) -> None:
    """By each metric in its direction; what the test images prefer does not matter."""
    values = [(3.0, 5.0, 1.0), (1.0, 9.0, 2.0), (2.0, 7.0, 3.0)]
    folders = [
        make(
            tmp_path / str(n),
            config={"latent.dim": n},
            metrics={
                "val/mse": mse, "val/psnr": psnr, "test/mse": -mse, "test/psnr": -psnr,
                "test/rank": mse, "test/knn_accuracy": psnr,
            },
        )
        for n, (mse, psnr, charm) in enumerate(values)
    ]  # fmt: skip
    table = summarise(gather(folders))
    best = {m: [g.stats[m].best for g in table.groups] for m in table.metrics}
    for name in ("val/mse", "val/psnr", "test/mse", "test/psnr"):
        assert best[name] == [False, True, False]
    assert best["test/rank"] == best["test/knn_accuracy"] == [False] * 3
    assert table.metrics[:2] == ("val/mse", "test/mse")


def test_without_validation_images_nothing_is_ranked(tmp_path: Path) -> None:
    folders = [
        make(tmp_path / str(n), config={"latent.dim": n}, metrics={"test/mse": float(n)})
        for n in range(3)
    ]
    table = summarise(gather(folders))
    assert not any(g.stats["test/mse"].best for g in table.groups)
    note = "these runs have no validation images (dataset.val_size), so they are not ranked"
    assert notes_on(table) == [note]
    assert f"note: {note}" in to_text(table, "t")


def test_other_validation_images_are_not_set_against_each_other(tmp_path: Path) -> None:
    folders = [
        make(
            tmp_path / f"{size}-{dim}",
            config={"latent.dim": dim, "dataset.val_size": size},
            metrics={"val/mse": mse, "test/mse": 0.0},
        )
        for size, dim, mse in ((100, 2, 3.0), (100, 8, 2.0), (900, 2, 1.0), (900, 8, 9.0))
    ]
    groups = summarise(gather(folders)).groups
    marked = {(g.values["dataset.val_size"], g.values["latent.dim"]) for g in groups
              if g.stats["test/mse"].best}  # fmt: skip
    assert marked == {(100, 8), (900, 2)}


def test_best_only_among_runs_on_the_same_data(tmp_path: Path) -> None:
    cases = [("mnist", 2, 5.0), ("mnist", 8, 4.0), ("digits", 2, 1.0), ("digits", 8, 2.0)]
    folders = [
        make(
            tmp_path / str(n),
            words={"dataset": dataset},
            config={"latent.dim": dim, "dataset.name": dataset},
            metrics={"val/mse": mse, "test/mse": 0.0},
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
            metrics={"val/loss": loss, "val/mse": loss, "test/loss": 0.0, "test/mse": 0.0},
        )
        for n, (word, dim, loss) in enumerate(cases)
    ]
    table = summarise(gather(folders))
    assert [g.stats["test/loss"].best for g in table.groups] == [False, True, False, True]
    assert [g.stats["test/mse"].best for g in table.groups] == [False, True, False, False]
    assert any(note.startswith("val/loss, test/loss:") for note in notes_on(table))
    told = to_text(table, "t")
    assert "test/mse" in told and "test/loss" not in told, "no note of what is not shown"


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


# --- the picture that suits ---


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
    assert page.count("data:image/svg+xml") == (2 if kind else 0)


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
    assert (chosen.kind, len(chosen.series), chosen.legend) == ("lines", 1, [])
    assert not chosen.series[0].joined
