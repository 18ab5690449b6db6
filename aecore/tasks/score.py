"""`task=score`: anomaly scores of images, and anomalies by a threshold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from aecore.config.component import NonNegativeFloat, PositiveInt, Probability
from aecore.config.terminal import say
from aecore.data.module import ImageData
from aecore.data.split import Split
from aecore.errors import ConfigError
from aecore.evaluation.figures.draw import save
from aecore.evaluation.figures.top_anomalies import top_anomalies, top_rows
from aecore.evaluation.metrics.anomaly_score import (
    By,
    Scorer,
    Units,
    error_unit,
    feature_errors,
)
from aecore.evaluation.metrics.error_map import PixelAuroc, error_map, smooth_text
from aecore.evaluation.metrics.ood import auroc
from aecore.evaluation.selection import class_names
from aecore.evaluation.trial import noun_of
from aecore.runs.folder import write_metrics
from aecore.tasks.files import error_columns, numbers, write_rows
from aecore.tasks.threshold import all_scores, quantile_threshold, scorer_of
from aecore.tasks.use import Opened, Use
from aecore.training.setup import build_data
from aecore.types import is_table

Batches = Iterator[tuple[Tensor, Tensor | None]]  # pixels (n, C, H, W), labels (n,)


class Score(Use):
    """Writes scores.csv, highest first, top_anomalies.png, and metrics.json with the threshold.

    A score is the mean squared error per pixel of the reconstruction on [0, 1], of a table per
    feature, standardised as the model sees it unless `units=data`; by=peak is the largest one, for
    anomalies of few pixels, and by=elbo minus the ELBO in nats (its code drawn once). An image is
    anomalous where its score is above the threshold: a quantile of the scores of known-good images,
    the run's validation images, or its training images where it has none. A noise corrupts the
    images that are scored, not the known-good ones. Of a table whose columns have names scores.csv
    has the squared error of each, `error_NAME`.

    Where some images are of classes that were trained on and others are not, it reports the AUROC:
    the probability that one of the others has the larger score; 0.5 is chance. Of a run that was
    trained on some classes alone (`dataset.classes`) the test images of all are scored by default.

    The figure has a heat map of the squared error below each image. Where the anomalous pixels are
    known (a folder `ground_truth/`, `dataset=defects`), it reports the AUROC of all pixels, too.

    by: which score. quantile: of the known-good ones. threshold: a score, in its place.
    smooth: standard deviation in pixels of a Gaussian that the errors of neighbouring pixels are
    averaged with, for the heat map, the AUROC of pixels, and the scores of by=peak.
    columns, rows: of the figure.
    """

    takes = ("dataset", "split", "resize", "noise")

    by: By
    units: Units
    quantile: Probability
    threshold: float | None
    smooth: NonNegativeFloat
    columns: PositiveInt
    rows: PositiveInt

    def use(self, opened: Opened) -> dict[str, float]:
        """The run's test images by default."""
        self._scorer(opened)  # refuses before anything is read
        run_data = opened.run_data
        opened = _of_all_classes(opened)
        split = opened.images()
        threshold, reason = self._threshold(opened, run_data)
        scores = all_scores(self._scorer(opened), _inputs(opened, split))
        anomalous = scores > threshold
        count, share = int(anomalous.sum()), float(anomalous.double().mean())
        metrics = {"images": float(len(split)), "threshold": threshold, "anomalous": float(count)}
        lines = [
            f"{opened.describe(split)}, scored by {self._score_text(opened)}",
            f"threshold  {threshold:.5g}, {reason}",
            f"anomalous  {count:,} of {len(split):,} are above it ({100 * share:.3g} %)",
        ]
        known = self.threshold is None or not opened.is_other_data  # then the run's data are there
        others = _of_other_classes(split, run_data) if known else None
        if others is not None:
            metrics["auroc"] = auroc(scores[~others], scores[others])
            of = f"{int(others.sum()):,} {noun_of(split.image_shape)} of classes not trained on"
            lines.append(
                f"AUROC      {metrics['auroc']:.4f}, {of} against {int((~others).sum()):,}"
            )
        pixels = self._pixel_auroc(opened, split)
        if pixels is not None:
            metrics["pixel_auroc"] = pixels.compute()
            normal, marked = (f"{count:,}" for count in pixels.pixels)
            lines.append(
                f"pixels     AUROC {metrics['pixel_auroc']:.4f}, {marked} anomalous ones against "
                f"{normal}, by the squared error{smooth_text(self.smooth)}"
            )
        order = scores.argsort(descending=True, stable=True)
        self._write(opened, split, scores, order, threshold)
        write_metrics(opened.folder, metrics)
        say("\n".join(lines))
        say(f"scores     {opened.folder / 'scores.csv'}")
        say(f"figure     {opened.folder / 'top_anomalies.png'}")
        return metrics

    def _score_text(self, opened: Opened) -> str:
        if self.by == "elbo":
            return "minus the ELBO"
        unit = error_unit(opened.ae.model, self.units)
        if self.by == "error":
            return f"the squared error {unit}"
        return f"the largest squared error {unit}{smooth_text(self.smooth)}"

    def _pixel_auroc(self, opened: Opened, split: Split) -> PixelAuroc | None:
        """Of the squared error of every pixel; None where masks do not mark some of them."""
        if split.masks is None or split.masks.all() or not split.masks.any():
            return None
        pixels, first = PixelAuroc(), 0
        for x, y in _inputs(opened, split):
            errors = error_map(opened.ae.model.reconstruct(x, y), x, self.smooth)
            pixels.add(errors, split.masks[first : first + len(x)])
            first += len(x)
        return pixels

    def _scorer(self, opened: Opened) -> Scorer:
        try:
            return scorer_of(opened, self.by, self.units, self.smooth)
        except ConfigError as error:
            raise error.renamed({"by": "score.by", "smooth": "score.smooth"}) from error

    def _feature_errors(self, opened: Opened, split: Split) -> Tensor:
        """(N, D) on the CPU."""
        model = opened.ae.model
        errors = [
            feature_errors(model, model.reconstruct(x, y), x, self.units).cpu()
            for x, y in _inputs(opened, split)
        ]
        return torch.cat(errors)

    def _threshold(self, opened: Opened, run_data: ImageData) -> tuple[float, str]:
        """The threshold and a description of its origin."""
        if self.threshold is not None:
            return self.threshold, "score.threshold"
        return quantile_threshold(opened, run_data, self._scorer(opened), self.quantile)

    def _write(
        self, opened: Opened, split: Split, scores: Tensor, order: Tensor, threshold: float
    ) -> None:
        """Write scores.csv and top_anomalies.png."""
        names, labels = opened.named(split), class_names(split)
        columns = {
            "name": [names[i] for i in order.tolist()],
            "score": numbers(scores[order]),
            "anomalous": [str(score > threshold).lower() for score in scores[order].tolist()],
        }
        if labels is not None:
            columns["label"] = [labels[i] for i in order.tolist()]
        if split.columns is not None and self.by != "elbo":
            columns |= error_columns(split.columns, self._feature_errors(opened, split)[order])
        write_rows(opened.folder / "scores.csv", columns)
        top = order[: self.columns * self.rows]
        x = _picked(_inputs(opened, split), top)
        y = None if split.labels is None else split.labels[top].to(opened.ae.device)
        output = opened.ae.model.reconstruct(x.to(opened.ae.device), y).cpu()
        title = (
            f"Top anomalies of {opened.describe(split)}; anomalous is a score above {threshold:.4g}"
        )
        shown = scores[top], columns["name"][: len(top)], self.columns, title
        if is_table(split.image_shape):
            figure = top_rows(opened.ae.model, x, output, *shown, split.columns)
        else:
            errors = error_map(output, x, self.smooth)
            masks = None if split.masks is None else split.masks[top]
            figure = top_anomalies(x, output, errors, *shown, masks)
        save(figure, opened.folder, "top_anomalies")


def _of_all_classes(opened: Opened) -> Opened:
    """With all classes, where the model was trained on some and no images were chosen."""
    settings, run_data = opened.parts.config, opened.run_data
    asked = opened.is_other_data or settings.split is not None
    own_alone = opened.parts.data.classes == run_data.classes and run_data.classes is not None
    if asked or not own_alone or opened.ae.model.classes is not None:
        return opened
    every = settings.model_copy(update={"dataset": settings.dataset | {"classes": None}})
    return replace(opened, parts=replace(opened.parts, data=build_data(every)))


def _inputs(opened: Opened, split: Split) -> Batches:
    """The inputs of the encoder in order, with their labels."""
    return ((seen, y) for _, seen, y in opened.inputs(split))


def _picked(images: Batches, places: Tensor) -> Tensor:
    """The images at `places` (M,) int64, in that order, (M, C, H, W) on the CPU."""
    chosen: dict[int, Tensor] = {}
    first = 0
    for x, _ in images:
        chosen |= {i: x[i - first].cpu() for i in places.tolist() if first <= i < first + len(x)}
        first += len(x)
    return torch.stack([chosen[i] for i in places.tolist()])


def _of_other_classes(split: Split, run_data: ImageData) -> Tensor | None:
    """(N,) bool: which images are of classes that were not trained on.

    None where that is not known, and where all of them are of one kind.
    """
    if split.labels is None or run_data.train.labels is None:
        return None
    known, classes = torch.unique(run_data.train.labels), run_data.train.class_names
    if split.class_names != classes:
        if split.class_names is None or classes is None:
            return None
        trained = {classes[k] for k in known.tolist()}
        known = torch.tensor([k for k, name in enumerate(split.class_names) if name in trained])
    others = ~torch.isin(split.labels, known)
    return others if 0 < int(others.sum()) < len(others) else None
