"""TrialFigures that the tasks upon a trained run draw."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from aecore.evaluation.figures.rate_distortion import Point, rate_distortion
from aecore.evaluation.figures.scale import Scale
from aecore.evaluation.figures.top_anomalies import top_anomalies, top_rows
from helpers import models as making

pytestmark = pytest.mark.filterwarnings("error")

STEPS = ["4", "2", "1", "0.5", "0.25", "0.125", "0.0625"]
FLAT = [(0.12, 8.46), (0.39, 8.47), (0.66, 8.47), (0.96, 8.47), (1.27, 8.47), (1.58, 8.47),
        (1.9, 8.47)]  # fmt: skip
RISING = [(0.09, 12.73), (0.19, 13.16), (0.39, 13.3), (0.65, 13.33), (0.94, 13.34), (1.24, 13.33),
          (1.55, 13.34)]  # fmt: skip


def drawn(curve: list[Point], drawn_at: float) -> Axes:
    named = list(zip(STEPS, curve, strict=True))
    points = {"drawn, bits back": (drawn_at, 9.6), "as it is": (10.0, curve[-1][1])}
    figure = rate_distortion(named, points, {"PNG": 15.4, "zlib": 7.2}, "360 images")
    figure.draw_without_rendering()
    return figure.axes[0]


def overlaps(texts: list[Text]) -> list[tuple[str, str]]:
    """Which of these texts touch on the page."""
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts if text.get_text()]
    return [(a, b) for (a, one), (b, two) in combinations(boxes, 2) if touch(one, two)]


def touch(one: Bbox, two: Bbox) -> bool:
    return bool(one.padded(1).overlaps(two))


class TestRateDistortion:
    @pytest.mark.parametrize("curve", [FLAT, RISING])
    @pytest.mark.parametrize("drawn_at", [1e-5, 2e-3, 0.04])
    def test_no_text_touches_another(self, curve: list[Point], drawn_at: float) -> None:
        axes = drawn(curve, drawn_at)
        assert not overlaps(list(axes.texts))
        ticks = axes.get_xticklabels()
        assert (
            sum(axes.viewLim.x0 <= tick.get_position()[0] <= axes.viewLim.x1 for tick in ticks) > 2
        )
        assert not overlaps(ticks)

    def test_texts_are_nearest_to_their_own_points(self) -> None:
        axes = drawn(RISING, 0.04)
        assert sorted(text.get_text() for text in axes.texts) == sorted(STEPS), "there is room"
        dots = axes.transData.transform(RISING)
        for text in axes.texts:
            box = text.get_window_extent()
            middle = [(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2]
            away = ((dots - middle) ** 2).sum(1)
            assert STEPS[int(away.argmin())] == text.get_text()

    def test_codes_that_cost_nothing(self) -> None:
        figure = rate_distortion([("1", (0.0, 9.0))], {}, {"PNG": 15.4}, "t")
        assert not figure.axes[0].texts


def test_the_top_anomalies_of_rows_of_a_table_are_drawn_as_the_model_sees_them() -> None:
    x = 100 * making.images(3, 1, 1, 5)
    shift, scale = x.mean(0), x.std(0)
    model = making.model(image_shape=(1, 1, 5), shift=shift, scale=scale)
    scores, names = x[:, 0, 0, 0], [f"column {n}" for n in range(5)]
    figure = top_rows(model, x, x + 1, scores, ["17", "0", "4"], 2, "t", names)
    shown = [axes for axes in figure.axes if axes.get_title("left")]
    heads = [axes.get_title("left") for axes in shown]
    assert heads == [f"row {n}: {v:#.4g}" for n, v in zip((17, 0, 4), scores, strict=True)]
    for axes, row in zip(shown, (x - shift) / scale, strict=True):
        np.testing.assert_allclose(axes.lines[0].get_ydata(), row.flatten(), rtol=1e-4)
    assert [label.get_text() for label in shown[-1].get_xticklabels()] == names


def test_the_heat_maps_of_the_top_anomalies_are_on_one_scale() -> None:
    x = making.images(4, 1, 12, 12)
    errors = torch.rand(4, 1, 12, 12)
    masks = errors > 0.5
    figure = top_anomalies(x, x, errors, x[:, 0, 0, 0], list("abcd"), 2, "t", masks)
    images = [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]
    assert len(images) == 8, "two blocks of four rows"
    colours = Scale(float(errors.max()), signed=False).colours(errors[:, 0])
    for block in range(2):
        _, _, heat, marked = images[4 * block : 4 * block + 4]
        first = 2 * block
        np.testing.assert_allclose(heat[:, :12], colours[first].movedim(0, -1), atol=1e-6)
        np.testing.assert_allclose(heat[:, -12:], colours[first + 1].movedim(0, -1), atol=1e-6)
        assert np.array_equal(marked[:, :12, 0] == 1, masks[first, 0].numpy())
    labels = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert labels.count("squared error") == labels.count("anomalous pixels") == 2
    assert figure.axes[-1].get_ylabel() == "squared error", "the bar"


def test_series_are_drawn_as_lines_alone() -> None:
    x = torch.rand(2, 3, 1, 20)
    figure = top_anomalies(x, x, x[:, :1], x[:, 0, 0, 0], ["a", "b"], 2, "t")
    labels = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert "reconstruction" in labels and "squared error" not in labels
