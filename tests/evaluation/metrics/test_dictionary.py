"""Sparsity, explained variance, and the features of superposition that a dictionary recovers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from aecore.api.create import create
from aecore.data.sources.superposition import Superposition
from aecore.data.split import Split
from aecore.errors import SkippedError, UserError
from aecore.evaluation.figures.dictionary import Densities, MostActivating
from aecore.evaluation.metrics.dictionary import DictionaryMetric, atoms, densities, strongest
from aecore.evaluation.trial import Trial
from aecore.model.autoencoder import Autoencoder
from helpers.models import adam, gen, images, model
from helpers.trials import perfect, trial


def superposition(draw: int = 0, **changes: Any) -> Superposition:
    values = {"features": 64, "width": 32, "active": 3.0, "rows": 20_000, "test_rows": 1000}
    return Superposition(**(values | changes), draw=draw)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_topk_recovers_the_features_of_superposition(seed: int) -> None:
    source = superposition(seed)
    training, test = source.load("train", Path()), source.load("test", Path())
    torch.manual_seed(seed)
    scale = training.images.std((0, 2), keepdim=True)[0]
    whole = Autoencoder(
        image_shape=(1, 1, 32),
        network=create("network=dictionary"),
        latent=create("latent=topk", dim=128, k=3),
        shift=torch.zeros(1, 1, 32),
        scale=scale,
    )
    optimizer, draws = adam(1e-2)(whole.parameter_groups()), gen(seed)
    for _ in range(300):
        x = training.images[torch.randint(len(training), (256,), generator=draws)]
        optimizer.zero_grad()
        whole.terms(x, draws, epoch=1.0, noisy=True).loss.backward()
        optimizer.step()
    with torch.no_grad():
        values = DictionaryMetric(cosine=0.9)(Trial(whole.eval(), test))
    assert values["dictionary/recovered"] >= 0.95
    assert values["dictionary/l0"] == pytest.approx(3)
    assert 0.8 < values["dictionary/explained_variance"] < 1


class TestSuperposition:
    def test_rows_are_sums_of_few_features(self) -> None:
        split = superposition().load("train", Path())
        assert split.images.shape == (20_000, 1, 1, 32) and split.atoms is not None
        torch.testing.assert_close(split.atoms.norm(dim=1), torch.ones(64))
        # x x^T on average: 3 / 64 active, E c^2 = 1 / 3, and (3 / 128)^2 for pairs of features
        x = split.images.flatten(1).double()
        d, mean = split.atoms.double(), 3 / 128
        both = d.sum(0)[:, None] * d.sum(0)
        expected = (1 / 64 - mean**2) * d.T @ d + mean**2 * both
        torch.testing.assert_close(x.T @ x / len(x), expected, atol=2e-3, rtol=0)

    def test_rows_are_fixed_and_splits_differ(self) -> None:
        train, again, other = (superposition(n).load("train", Path()) for n in (0, 0, 1))
        test = superposition().load("test", Path())
        assert torch.equal(train.images, again.images) and test.atoms is not None
        assert torch.equal(train.atoms, test.atoms)  # type: ignore[arg-type]
        assert not torch.equal(train.images[:1000], test.images)
        assert not torch.equal(train.images, other.images)
        assert torch.equal(train.subset(torch.arange(3)).atoms, test.atoms)  # type: ignore[arg-type]

    @pytest.mark.parametrize(("changes", "said"), [
        ({"active": 65.0}, r"dataset\.active=65"), ({"rows": 10**13}, r"dataset\.rows=.* GiB"),
    ])  # fmt: skip
    def test_errors(self, changes: dict[str, Any], said: str) -> None:
        with pytest.raises(UserError, match=said):
            superposition(**changes).load("train", Path())


def coded(rows: list[list[float]]) -> Trial:
    """A trial whose codes are these rows of four."""
    return trial(perfect(), images=Split(torch.tensor(rows).view(-1, 1, 2, 2)), batch_size=2)


ROWS = [[1.0, 0, 0.2, 0], [0.5, 0, 0.4, 0], [0.7, 0, 0, 0.9]]


@torch.no_grad()
def test_values_by_hand() -> None:
    on = coded(ROWS)
    values = DictionaryMetric(cosine=0.9)(on)
    assert values == pytest.approx({
        "dictionary/l0": 2.0,
        "dictionary/explained_variance": 1.0,
        "dictionary/dead": 0.25,
        "dictionary/density": 2 / 3,
    })  # fmt: skip
    known = torch.tensor([[2.0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0.1, 1], [0, -1, 0, 0]])
    on = replace(on, images=replace(on.images, atoms=known))
    assert DictionaryMetric(cosine=0.9)(on)["dictionary/recovered"] == 0.5
    assert DictionaryMetric(cosine=0.7)(on)["dictionary/recovered"] == 0.75
    assert torch.equal(atoms(on.model), torch.eye(4))
    torch.testing.assert_close(densities(on), torch.tensor([3, 0, 2, 1]).double() / 3)


@torch.no_grad()
def test_atoms_are_in_the_units_of_the_data() -> None:
    whole = model(
        image_shape=(1, 2, 2), network=create("network=dictionary"), latent=create("latent=topk"),
        shift=torch.full((1, 1, 1), 3.0), scale=torch.full((1, 1, 1), 2.0),
    )  # fmt: skip
    torch.testing.assert_close(atoms(whole).norm(dim=1), torch.full((256,), 2.0))


@torch.no_grad()
def test_the_most_activating_images() -> None:
    images, values = strongest(coded(ROWS), 2)
    assert images[[0, 2, 3]].tolist() == [[0, 2], [1, 0], [2, images[3, 1]]]
    torch.testing.assert_close(values[0], torch.tensor([1.0, 0.7]))
    assert strongest(coded(ROWS), 9)[0].shape == (4, 3)


def test_figures_of_units() -> None:
    drawn = MostActivating(units=9, images=2)(coded(ROWS))
    labels = [text.get_text() for axes in drawn.axes for text in axes.texts]
    rows = [text for text in labels if text.startswith("unit")]
    assert rows == ["unit 0\n100.00%", "unit 2\n66.67%", "unit 3\n33.33%"]
    assert [text for text in labels if not text.startswith("unit")] == [
        "1", "0.7", "0.4", "0.2", "0.9", "",
    ]  # fmt: skip
    axes = Densities(bins=5)(coded(ROWS)).axes[0]
    assert axes.get_title("left") == "4 units: 1 dead, 0 rare"
    assert sum(bar.get_height() for bar in axes.patches) == 3  # type: ignore[attr-defined]


def test_without_active_units_there_is_nothing_to_draw() -> None:
    for figure in (MostActivating(units=2, images=2), Densities(bins=5)):
        with pytest.raises(SkippedError, match="no unit"):
            figure(coded([[0.0, 0, 0, 0]] * 3))
    table = trial(model(image_shape=(1, 1, 4)), images=Split(images(5, 1, 1, 4)))
    with pytest.raises(SkippedError, match="table"):
        MostActivating(units=2, images=2)(table)
