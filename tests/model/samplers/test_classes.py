"""Samplers of conditional models: codes of the class that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from aecore.cli import main
from aecore.errors import UserError
from aecore.model.samplers.base import Sampler
from aecore.model.samplers.classes import ByClass, fit_by_class
from aecore.model.samplers.gaussian import GaussianSampler
from aecore.model.samplers.knn import KNN
from aecore.runs.open import open_run
from aecore.runs.sampler_file import FILE, read_sampler, save_sampler
from helpers.models import gen, model, plain
from helpers.samplers import EVERY, gmm

LIKE = torch.zeros(1)
CLASSES = 3
CENTRES = torch.tensor([[9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 9.0]])
LABELS = torch.arange(90) % CLASSES
MIXED = torch.tensor([2, 0, 2, 1, 1, 2, 0])


def clusters(labels: Tensor = LABELS) -> Tensor:
    """Codes (N, 3) near the centre of their class."""
    return CENTRES[labels] + 0.5 * torch.randn(len(labels), 3, generator=gen())


def conditional(classes: int = CLASSES) -> Any:
    return model(latent=plain(3), classes=classes).eval()


@pytest.mark.parametrize("sampler", EVERY)
def test_each_class_has_codes_of_its_own(sampler: Sampler, tmp_path: Path) -> None:
    codes = clusters()
    fitted = fit_by_class(sampler, codes, LABELS, CLASSES, 3)
    drawn = fitted.draw_of(MIXED, LIKE, gen(1))
    assert drawn.shape == (7, 3)
    assert torch.equal(torch.cdist(drawn, CENTRES).argmin(1), MIXED)
    for label in range(CLASSES):
        alone = sampler.fit(codes[label == LABELS], 3).draw(5, LIKE, gen(1))
        assert torch.equal(fitted.draw_of(torch.full((5,), label), LIKE, gen(1)), alone)
    whole = conditional()
    save_sampler(fitted, tmp_path / "sampler.ckpt")
    whole.sampler = read_sampler(sampler, tmp_path / "sampler.ckpt", whole)
    assert torch.equal(whole.sampler.draw_of(MIXED, LIKE, gen(1)), drawn)
    images = whole.decode(drawn, (MIXED,))
    torch.testing.assert_close(whole.sample(7, gen(1), MIXED), images)
    in_turn = whole.decode(fitted.draw(4, LIKE, gen(1)), (torch.tensor([0, 1, 2, 0]),))
    torch.testing.assert_close(whole.sample(4, gen(1)), in_turn)


@pytest.mark.parametrize("sampler", [KNN(k=3, images=99), gmm(4)])
def test_a_class_of_few_codes_shares_those_of_all(sampler: Sampler, tmp_path: Path) -> None:
    """Three images of class 1, none of class 3."""
    labels = torch.cat([LABELS[LABELS != 1], torch.ones(3, dtype=torch.int64)])
    codes = clusters(labels)
    fitted = fit_by_class(sampler, codes, labels, 4, 0)
    assert set(fitted.by_label) == {0, 2}
    few, all_codes = (f.draw(6, LIKE, gen(1)) for f in (fitted.shared, sampler.fit(codes, 0)))  # type: ignore[union-attr]
    assert torch.equal(few, all_codes)
    for label in (1, 3):
        assert torch.equal(fitted.draw_of(torch.full((6,), label), LIKE, gen(1)), few)
    save_sampler(fitted, tmp_path / "sampler.ckpt")
    opened = read_sampler(sampler, tmp_path / "sampler.ckpt", conditional(4))
    y = torch.arange(8) % 4
    assert torch.equal(opened.draw_of(y, LIKE, gen(2)), fitted.draw_of(y, LIKE, gen(2)))


def test_files_of_other_models(tmp_path: Path) -> None:
    path, sampler = tmp_path / "sampler.ckpt", GaussianSampler(images=90)
    save_sampler(fit_by_class(sampler, clusters(), LABELS, CLASSES, 0), path)
    for other in (model(latent=plain(3)), conditional(2), conditional(4)):
        with pytest.raises(UserError, match="another model's sampler"):
            read_sampler(sampler, path, other)
    save_sampler(sampler.fit(clusters(), 0), path)
    with pytest.raises(UserError, match="another model's sampler"):
        read_sampler(sampler, path, conditional())
    read_sampler(sampler, path, model(latent=plain(3)))


def test_a_conditional_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny = ["latent.dim=4", "network.hidden=[32]", "trainer.max_epochs=2", "logger=none"]
    fitted = ["sampler=gmm", "sampler.components=5", "sampler.covariance=diag"]
    few = ["sampler.images=60", "figures=samples", "hydra.run.dir=run"]
    assert main(["model=ae", "conditional=true", *tiny, *fitted, *few]) == 0
    assert "sampler=gmm: too few codes of class " in capsys.readouterr().err
    assert Path("run/figures/samples.png").is_file()
    whole = open_run(Path("run")).model()
    sampler = whole.sampler
    assert isinstance(sampler, ByClass) and 0 < len(sampler.by_label) < 10
    drawn = whole.sample(6, gen(), torch.arange(6))
    first = Path("run", FILE).read_bytes()
    Path("run/metrics.json").unlink()
    assert main(["resume=run"]) == 0
    assert Path("run", FILE).read_bytes() == first
    assert torch.equal(open_run(Path("run")).model().sample(6, gen(), torch.arange(6)), drawn)
