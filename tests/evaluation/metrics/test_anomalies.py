"""Images of other classes and data sets, and how well error and likelihood detect them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from aecore.cli import main
from aecore.compare.runs import gather
from aecore.config.arguments import parse
from aecore.config.compose import compose
from aecore.data.split import Split
from aecore.errors import SkippedError, UserError
from aecore.evaluation.metrics.anomaly_score import scorer
from aecore.evaluation.metrics.ood import Ood
from aecore.evaluation.trial import Trial
from aecore.model.penalties.kl import KL
from aecore.model.reconstruction.gaussian import GaussianLikelihood
from aecore.training.setup import build_experiment
from helpers.models import gaussian, gen, images, model
from helpers.run_folders import make
from helpers.splits import Memory, data, split_of
from helpers.trials import trial


def pairs(known: Tensor, unknown: Tensor) -> float:
    """AUROC: of all pairs, in how many the unknown image has the larger score."""
    larger = (unknown[:, None] > known).double() + 0.5 * (unknown[:, None] == known)
    return float(larger.mean())


def precision(known: Tensor, unknown: Tensor) -> float:
    """Average precision, where no two scores are equal."""
    above = (unknown[:, None] <= unknown).sum(1) / (
        unknown[:, None] <= torch.cat([known, unknown])
    ).sum(1)
    return float(above.double().mean())


def errors(on: Trial, split: Split) -> Tensor:
    x = split.pixels()
    return (on.model.reconstruct(x) - x).flatten(1).square().mean(1).double()


def surprises(on: Trial, split: Split) -> Tensor:
    """Minus the ELBO of each image under noise of deviation 0.3, from one draw of the code."""
    draws, found = gen(on.seed), []
    for x in split.pixels().split(on.batch_size):
        code = on.model.encode(x, draws)
        assert code.posterior is not None
        q = Normal(code.posterior.mean, code.posterior.variance.sqrt())
        kl = kl_divergence(q, Normal(0.0, 1.0)).sum(1)
        found.append(kl - Normal(on.model.decode(code.z), 0.3).log_prob(x).flatten(1).sum(1))
    return torch.cat(found).double()


class TestScores:
    @pytest.fixture(autouse=True)
    def _without_gradients(self) -> Any:
        with torch.no_grad():
            yield

    def test_are_those_of_all_pairs_by_error_and_by_likelihood(self) -> None:
        whole = model(
            latent=gaussian(3), penalties={"kl": KL()}, reconstruction=GaussianLikelihood(scale=0.3)
        )
        dark = Split(0.9 * images(9, 1, 4, 4, seed=8))
        on = trial(whole, ood={"dark": dark, "like": Split(images(30, 1, 4, 4, seed=9))})
        found = Ood(units="model")(on)
        assert len(found) == 8
        for name, split in on.ood.items():
            for kind, score in (("", errors), ("_elbo", surprises)):
                known, unknown = score(on, on.images), score(on, split)
                assert found[f"auroc_{name}{kind}"] == pytest.approx(pairs(known, unknown))
                assert found[f"ap_{name}{kind}"] == pytest.approx(precision(known, unknown))
        assert found["auroc_dark"] != found["auroc_dark_elbo"]
        assert Ood(units="model")(on) == found, "bit for bit"

    def test_scores_of_a_task_are_the_same(self) -> None:
        """What `task=score` writes: minus the ELBO with its KL, or the error."""
        whole = model(
            latent=gaussian(3), penalties={"kl": KL()}, reconstruction=GaussianLikelihood(scale=0.3)
        )
        on = trial(whole)
        for by, score in (("error", errors), ("elbo", surprises)):
            of = scorer(whole, by, gen(on.seed))  # type: ignore[arg-type]
            found = torch.cat([of(x, y) for x, y in on.batches()]).double()
            torch.testing.assert_close(found, score(on, on.images), rtol=1e-5, atol=1e-6)

    def test_what_is_far_away_is_detected_without_fail(self) -> None:
        far = Split(5 + images(9, 1, 4, 4))
        assert Ood(units="model")(trial(ood={"far": far})) == {"auroc_far": 1.0, "ap_far": 1.0}
        near = Ood(units="model")(trial(images=far, ood={"near": Split(images(9, 1, 4, 4))}))
        assert near["auroc_near"] == 0.0

    def test_without_others_there_is_nothing_to_detect(self) -> None:
        with pytest.raises(SkippedError, match=r"evaluate\.ood=\[kmnist\], or dataset.classes"):
            Ood(units="model")(trial())


def ids(split: Split | None) -> set[int]:
    """Which images: `split_of` marks each by its first pixel, and its label is that modulo 3."""
    return set() if split is None else set(split.images.flatten(1)[:, 0].tolist())


def of(label: int, numbers: set[int]) -> set[int]:
    return {n for n in numbers if n % 3 == label}


class TestPeak:
    @pytest.mark.parametrize("smooth", [0.0, 0.8])
    def test_is_the_largest_smoothed_error(self, smooth: float) -> None:
        ae, x = model(image_shape=(3, 9, 7)), images(5, 3, 9, 7)
        scores = scorer(ae, "peak", gen(), smooth=smooth)(x, None).detach()
        maps = (ae.reconstruct(x) - x).square().mean(1).detach().numpy()
        if smooth:
            sides, radius = (0, smooth, smooth), math.ceil(3 * smooth)
            maps = gaussian_filter(maps, sides, mode="mirror", radius=(0, radius, radius))
        np.testing.assert_allclose(scores, maps.max((1, 2)), rtol=1e-5)

    def test_of_a_row_is_that_of_its_standardised_columns(self) -> None:
        shift, scale = torch.full((1, 1, 4), 2.0), torch.full((1, 1, 4), 5.0)
        ae, x = model(image_shape=(1, 1, 4), shift=shift, scale=scale), images(6, 1, 1, 4)
        largest = (ae.reconstruct(x) - x).square().amax((1, 2, 3)).detach()
        for units, divisor in (("data", 1), ("model", 25)):
            scores = scorer(ae, "peak", gen(), units)(x, None).detach()  # type: ignore[arg-type]
            np.testing.assert_allclose(scores, largest / divisor, rtol=1e-4)


class TestClasses:
    def test_choose_from_what_all_classes_would_be(self) -> None:
        source = Memory(split_of(50), split_of(30))
        sizes: dict[str, Any] = {"train_size": 30, "test_size": 20, "batch_size": 4}
        whole, one = data(source, **sizes), data(source, classes=1, **sizes)
        assert ids(one.train) == of(1, ids(whole.train))
        assert ids(one.val) == of(1, ids(whole.val))
        assert ids(one.test) == of(1, ids(whole.test)) == of(1, set(range(20)))
        assert ids(one.others) == ids(whole.test) - ids(one.test)
        assert one.others is not None and one.others.labels is not None
        assert set(one.others.labels.tolist()) == {0, 2}
        assert whole.others is None

    def test_several_or_all(self) -> None:
        source = Memory(split_of(50), split_of(30))
        two, three = data(source, classes=[2, 0]), data(source, classes=[0, 1, 2])
        assert ids(two.test) == of(0, set(range(30))) | of(2, set(range(30)))
        assert ids(two.others) == of(1, set(range(30)))
        assert ids(three.train) == ids(data(source).train)
        assert three.others is None

    def test_others_are_black_and_white_as_all_are(self) -> None:
        source = Memory(split_of(50), split_of(30))
        for binarise in ("threshold", "sample"):
            others = data(source, classes=[1], binarise=binarise).others
            assert others is not None and set(others.images.unique().tolist()) == {0, 255}

    @pytest.mark.parametrize(("named", "label"), [("ten", 0), (0, 0), (2, 1), ("2", 1), (1, 1)])
    def test_a_name_comes_before_a_number(self, named: str | int, label: int) -> None:
        split = Split(split_of(30).images, torch.arange(30) % 2, class_names=("ten", "2"))
        found = data(Memory(split, split), classes=named).test
        assert found.labels is not None and set(found.labels.tolist()) == {label}

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"classes": 7}, r"dataset\.classes=\[7\]: no class 7\n  known: 0, 1, 2$"),
            ({"classes": ["0", "x"]}, r"dataset\.classes=\[0,x\]: no class 'x'"),
            ({"classes": 2, "test_size": 2}, r"dataset\.test_size=2: none .*classes=2"),
            ({"classes": 0, "train_size": 1}, r"dataset\.train_size=1: none"),
            ({"classes": 1, "val_size": 1}, r"dataset\.val_size=1: none"),
            (
                {"classes": 1, "batch_size": 20},
                r"dataset\.batch_size=20: there are only 1\d train",
            ),
        ],
    )
    def test_what_leaves_nothing(self, changes: dict[str, Any], says: str) -> None:
        module = data(Memory(split_of(50), split_of(30)), **({"batch_size": 1} | changes))

        with pytest.raises(UserError, match=says):
            _ = module.train, module.test

    def test_labels_are_needed_and_images_too(self) -> None:
        with pytest.raises(UserError, match=r"classes=\[1\]: the test images have no labels"):
            _ = data(Memory(None, split_of(30, labels=False)), classes=1).test
        none = Split(split_of(30).images, torch.zeros(30).long(), class_names=("cat", "dog"))
        with pytest.raises(UserError, match=r"no image of the test split is of class 'dog'"):
            _ = data(Memory(None, none), classes="dog").test
        with pytest.raises(UserError, match="did you mean 'dog'"):
            _ = data(Memory(None, none), classes="dgo").test


class TestRuns:
    def test_one_class_against_the_rest(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        argv = ["model=pca", "latent.dim=8", "dataset.classes=[0]", "evaluate.metrics=ood"]
        others = ["evaluate.ood=uniform", "evaluate.ood.uniform.shape=[1,8,8]"]
        figures = ["figures=[ood,error_distribution]", "logger=none", "hydra.run.dir=run"]
        assert main([*argv, *others, *figures]) == 0
        found = json.loads(Path("run/metrics.json").read_text())
        for name in ("other_classes", "uniform"):
            assert found[f"test/auroc_{name}"] > 0.95
            assert found[f"test/ap_{name}"] > 0.95
        assert len(list(Path("run/figures").iterdir())) == 2

    def test_other_data_keep_their_classes(self) -> None:
        argv = ["dataset.classes=[0]", "evaluate.ood=digits", "dataset.test_size=100"]
        config = compose(parse(argv)).config
        parts = build_experiment(config)
        named = {name: len(split) for name, split in parts.ood_images().items()}
        assert named == {"digits": 360, "other_classes": 100 - len(parts.data.test)}
        del config["dataset"]["classes"]  # as a run of before has it
        assert list(build_experiment(config).ood_images()) == ["digits"]

    def test_runs_of_other_classes_were_tested_on_other_images(self, tmp_path: Path) -> None:
        settings: list[dict[str, Any]] = [{"classes": None}, {"classes": [3]}, {"classes": 4}]
        folders = [
            make(tmp_path / str(i), config={f"dataset.{k}": v for k, v in each.items()})
            for i, each in enumerate(settings)
        ]
        assert len({run.test_data for run in gather(folders)}) == 3

    @pytest.mark.parametrize("value", ["[]", "2.5"])
    def test_refusals(self, value: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([f"dataset.classes={value}"]) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: dataset.classes=") and len(said.splitlines()) == 1
