"""Metric words and other data sets through the command line, on the digits and on made data."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from aecore.cli import main
from aecore.compare.runs import gather
from aecore.compare.table import summarise
from aecore.config.arguments import parse
from aecore.config.compose import Composition, compose
from aecore.config.folders import builtin_options
from aecore.errors import UserError
from aecore.training.config_checker import ConfigChecker
from aecore.training.prepare import prepare
from aecore.training.setup import build_experiment

WORDS = sorted(name for name in builtin_options("evaluate/metrics") if name != "none")
SMALL = ["model=linear_ae", "trainer.max_epochs=2", "latent.dim=4", "figures=none", "logger=csv"]
OWN = ["evaluate.ood=[uniform,arrays]", "evaluate.ood.uniform.shape=[1,8,8]"]


def job(*overrides: str) -> Composition:
    return compose(parse(["model=linear_ae", *overrides]))


def evaluate(*overrides: str) -> dict[str, Any]:
    node: dict[str, Any] = job(*overrides).config["evaluate"]
    return node


def made(folder: Path, *shape: int) -> str:
    """The override that names a file of random images of that shape."""
    pixels = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    np.savez(folder / "made.npz", x=pixels)
    return f"evaluate.ood.arrays.path={folder}/made.npz"


class TestComposition:
    def test_nothing_is_the_default(self) -> None:
        one = job()
        assert one.config["evaluate"]["metrics"] == {} == one.config["evaluate"]["ood"]
        assert one.choices["evaluate/metrics"] == "none"

    @pytest.mark.parametrize("word", WORDS)
    def test_a_word_of_the_command_line(self, word: str) -> None:
        one = job(f"evaluate.metrics={word}")
        assert list(one.config["evaluate"]["metrics"]) == [word]
        assert one.choices["evaluate/metrics"] == word
        assert list(build_experiment(one.config).metrics) == [word]

    def test_a_list_and_its_values(self) -> None:
        one = job("evaluate.metrics=[activity,jacobian]", "evaluate.metrics.jacobian.images=7")
        assert one.choices["evaluate/metrics"] == ["activity", "jacobian"]
        assert one.config["evaluate"]["metrics"]["jacobian"]["images"] == 7

    @pytest.mark.parametrize("typed", ["evaluate.ood=kmnist", "evaluate.ood=[kmnist]"])
    def test_a_data_set(self, typed: str) -> None:
        one = job(typed)
        node = {"_target_": "aecore.data.sources.torchvision_sets.Torchvision", "name": "KMNIST"}
        assert one.config["evaluate"]["ood"] == {"kmnist": node}
        assert one.choices["dataset@evaluate.ood.kmnist"] == "kmnist"
        assert one.choices["dataset"] == "digits"

    def test_several_data_sets_each_once_and_their_values(self) -> None:
        node = evaluate("evaluate.ood=[kmnist, uniform,kmnist]", "evaluate.ood.uniform.images=3")
        assert list(node["ood"]) == ["kmnist", "uniform"]
        assert node["ood"]["uniform"]["images"] == 3

    def test_a_path_with_special_characters(self) -> None:
        typed = "evaluate.ood.arrays.path=/a b/c=[1].npz"
        assert evaluate("evaluate.ood=arrays", typed)["ood"]["arrays"]["path"] == "/a b/c=[1].npz"

    def test_a_preset_names_both(self, tmp_path: Path) -> None:
        (tmp_path / "experiment").mkdir()
        (tmp_path / "experiment" / "mine.yaml").write_text(
            "# @package _global_\ndefaults:\n  - /dataset@evaluate.ood.kmnist: kmnist\n"
            "  - override /evaluate/metrics: [activity, ood]\n"
            "evaluate: {ood: {kmnist: {test_size: 9}}}\n"
        )
        flags = ["--config-dir", str(tmp_path), "experiment=mine"]
        node = evaluate(*flags, "evaluate.ood=uniform")
        assert list(node["metrics"]) == ["activity", "ood"]
        assert sorted(node["ood"]) == ["kmnist", "uniform"]
        found = build_experiment(job(*flags, "dataset.test_size=50").config)
        assert found.ood["kmnist"].test_size == 9
        assert found.data.test_size == 50
        with pytest.raises(UserError, match="a preset names this data set already"):
            evaluate(*flags, "evaluate.ood=kmnist")

    def test_other_data_are_treated_as_the_runs_own(self, tmp_path: Path) -> None:
        path = made(tmp_path, 30, 8, 8)
        parts = build_experiment(
            job("evaluate.ood=arrays", path, "dataset.range=standardised", "seed=3").config
        )
        other = parts.ood["arrays"]
        assert (other.range, other.data_dir) == ("standardised", parts.data.data_dir)
        assert len(other.test) == 3, "the test part alone"


BAD = [
    (["evaluate.metrics=jacobien"], r"evaluate.metrics=jacobien: .*did you mean 'jacobian'"),
    (["evaluate.metrics=[activity,peanut]"], "evaluate.metrics=peanut: no such metrics"),
    (["metrics=activity"], r"did you mean evaluate\.metrics=activity\?"),
    (["evaluate.metrics=jacobian", "evaluate.metrics.jacobian.images=0"], "or equal to 1"),
    (["evaluate.metrics=compression", "evaluate.metrics.compression.bits=17"], "or equal to 16"),
    (
        ["evaluate.metrics=activity", "evaluate.metrics.activity.count=1"],
        "activity has no key 'count'",
    ),
    (["evaluate.ood=kmnst"], "evaluate.ood=kmnst: no such dataset .*did you mean 'kmnist'"),
    (["evaluate.ood=[digits,kmnst]"], "evaluate.ood=kmnst: no such dataset"),
    (["evaluate.ood=kmnist,digits"], r"write evaluate.ood=\[kmnist,digits\]"),
    (["evaluate.ood=[]"], r"write evaluate.ood=\[kmnist\]"),
    (["evaluate.ood=kmnist", "evaluate.ood.kmnist.nmae=x"], "did you mean 'name'"),
    (["evaluate.ood=uniform"], r"use evaluate.ood.uniform.shape=\[1,8,8\]"),
    (["evaluate.ood=uniform", "evaluate.ood.uniform.images=0"], "evaluate.ood.uniform.images=0"),
    (["evaluate.ood=arrays", "evaluate.ood.arrays.path=nowhere.npz"],
     "evaluate.ood.arrays.path=/.*/nowhere.npz: .*no such file"),
    (["evaluate.ood=image_folder"], "evaluate.ood.image_folder.root=/a/folder"),
    (["-m", "seed=0,1", "evaluate.ood=uniform"], "job 1/2 of the sweep"),
]  # fmt: skip


@pytest.mark.parametrize(("argv", "mend"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_refusals_leave_nothing(
    argv: list[str],
    mend: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AECORE_DEBUG", raising=False)
    assert main(argv) == 2
    lines = capsys.readouterr().err.splitlines()
    assert 1 <= len(lines) <= 3
    assert re.search(mend, " ".join(lines))
    assert not list(tmp_path.iterdir())


def test_images_of_another_shape_are_found_before_training(tmp_path: Path) -> None:
    config = job("evaluate.ood=arrays", made(tmp_path, 20, 9, 9)).config
    for check in (lambda: prepare(build_experiment(config)), lambda: ConfigChecker().check(config)):
        with pytest.raises(UserError, match=r"evaluate\.ood\.arrays: its images are \(1, 9, 9\)"):
            check()
    shapes = ConfigChecker()
    shapes.check(job().config)
    with pytest.raises(UserError, match=r"evaluate\.ood\.arrays"):
        shapes.check(config)


class TestRuns:
    @pytest.fixture(autouse=True)
    def _elsewhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("AECORE_DATA_DIR", raising=False)

    def run(self, *overrides: str) -> dict[str, float]:
        number = len(list(Path().glob("run*")))
        assert main([*SMALL, f"hydra.run.dir=run{number}", *overrides]) == 0
        found: dict[str, float] = json.loads((Path(f"run{number}") / "metrics.json").read_text())
        return {name: value for name, value in found.items() if name.startswith("test")}

    def test_all_words_stand_beside_the_yardsticks(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        own = [*OWN, made(tmp_path, 50, 8, 8)]
        plain = self.run()
        found = self.run(f"evaluate.metrics=[{','.join(WORDS)}]", *own)
        assert found.items() >= plain.items()
        names = {name.removeprefix("test/") for name in found.keys() - plain.keys()}
        assert names >= {
            "activity/code", "activity/code_mean", "activity/dead_units",
            "activity/hidden_inactive", "ap_arrays", "ap_uniform", "auroc_arrays", "auroc_uniform",
            "bits_per_code", "bits_per_image", "code_rank", "compression", 
            "effective_rank", "frechet_cnn_reconstructions", "frechet_cnn_training",
             "identity_distance", "jacobian_norm", "knn_accuracy",
            "logistic_accuracy",  "nearest_training_code",
            "nearest_training_pixels", "participation_ratio", "pca_mse",
            "quantised_compression", "quantised_mse",
        }  # fmt: skip
        assert all(value is not None for value in found.values())
        assert found["test/bits_per_image"] == 64 * 8
        assert found["test/compression"] == pytest.approx(4)
        assert found["test/pca_mse"] < found["test/mse"]
        said = capsys.readouterr().err
        assert "evaluate.metrics.perplexity left out: the code is continuous" in said
        assert set(re.findall(r"evaluate\.metrics\.(\w+) left out", said)) >= {
            "bits", "disentanglement", "equivalent_variance", "inception", "likelihood",
            "perplexity", "posterior",
        }  # fmt: skip
        again = self.run(f"evaluate.metrics=[{','.join(WORDS)}]", *own)
        assert again == found, "bit for bit"
        assert len(list(Path("data/cache").iterdir())) == 1, "the classifier, trained once"
        recorded = yaml.safe_load(Path("run1/config.yaml").read_text())
        assert sorted(recorded["evaluate"]["metrics"]) == WORDS
        assert sorted(recorded["evaluate"]["ood"]) == ["arrays", "uniform"]
        assert main(["resume=run1"]) == 0

    def test_a_series_fills_no_table(self, capsys: pytest.CaptureFixture[str]) -> None:
        found = self.run("model=vae", "latent.dim=8", "evaluate.metrics=posterior")
        assert [f"test/kl_dim/{n}" in found for n in range(9)] == [True] * 8 + [False]
        said = capsys.readouterr().out
        assert re.search(r"test/kl_dim/\.\.\. +8 numbers, in metrics\.json\n", said)
        assert "kl_dim/0" not in said and "test/kl_max" in said
        compared = summarise(gather([Path("run0")])).metrics
        assert "test/kl_max" in compared and "test/kl_dim/0" not in compared

    def test_a_term_is_not_written_over(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A penalty of one's own that is called as a metric."""
        (tmp_path / "penalty").mkdir()
        target = "aecore.model.penalties.l1.L1Penalty"
        node = f"_target_: {target}, weight: 0.001, schedule: constant, warmup: 0"
        (tmp_path / "penalty" / "mine.yaml").write_text(f"# Mine\ncode_rank: {{{node}}}\n")
        own = ["--config-dir", str(tmp_path), "model=ae", "penalty=mine"]
        term = self.run(*own)["test/code_rank"]
        assert self.run(*own, "evaluate.metrics=rank")["test/code_rank"] == term
        assert "test/code_rank is a term of the loss, so" in capsys.readouterr().err

    def test_what_does_not_apply_is_told(self, capsys: pytest.CaptureFixture[str]) -> None:
        found = self.run("model=ae", "evaluate.metrics=[identity,activity,ood]")
        said = capsys.readouterr().err
        assert "evaluate.metrics.identity left out: the model is no product of matrices" in said
        assert "evaluate.metrics.ood left out: there are no other data" in said
        assert "test/activity/dead_units" in found
        assert not {"test/identity_distance"} & found.keys()

    def test_figures_see_other_data_and_training_images(self, tmp_path: Path) -> None:
        drawn = "figures=[error_distribution,code_noise]"
        self.run(drawn)
        self.run(drawn, *OWN, made(tmp_path, 50, 8, 8))
        for name in ("error_distribution", "code_noise"):
            one, other = (Path(f"run{n}/figures/{name}.png").read_bytes() for n in (0, 1))
            assert (one == other) == (name == "code_noise")

    def test_a_sweep_compares_them(self, capsys: pytest.CaptureFixture[str]) -> None:
        sweep = ["-m", "latent.dim=2,8", "hydra.sweep.dir=sweep", "evaluate.metrics=[pca,identity]"]
        assert main([*SMALL[:2], *SMALL[3:], *sweep]) == 0
        assert "metrics, which the report has" in capsys.readouterr().out
        table = summarise(gather([Path("sweep/0"), Path("sweep/1")]))
        assert table.keys == ("latent.dim",)
        for name in ("identity_distance", "pca_mse"):  # of the test images alone
            assert not any(g.stats[f"test/{name}"].best for g in table.groups)
        assert [g.stats["val/mse"].best for g in table.groups] == [False, True]
        page = Path("sweep/report.html").read_text()
        assert "identity_distance" in page
        assert "pca_mse" in page
