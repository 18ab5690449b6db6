"""How the samples and reconstructions of a model are distributed, by a classifier's features."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from aecore.config.component import NonNegativeInt, PositiveInt
from aecore.errors import SkippedError
from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.metrics.probe import labels_of
from aecore.evaluation.metrics.samples.classifier_cache import cached_classifier
from aecore.evaluation.metrics.samples.distances import frechet, precision_recall
from aecore.evaluation.metrics.samples.extractor import features
from aecore.evaluation.reported import Reported
from aecore.evaluation.trial import Trial, need_images


class Frechet(Metric):
    """Samples and reconstructions against test images, by the features of a small classifier.

    The classifier is trained here on the labels of the training images, for `epochs`, from `seed`
    whatever the run's, and kept in the data cache, so that further runs on the same images need
    not; it sees pixels clamped to [0, 1]. Its 64 features are scaled to variance 1 over the
    training images.

    `frechet_cnn_samples`, `frechet_cnn_reconstructions`, `frechet_cnn_training`: the Frechet
    distance (Heusel et al. 2017, with these features) to N test images of as many new images, of
    the same images reconstructed, and of as many training images, which is what a perfect model
    comes to. It falls with N, so compare at equal N, and with no other extractor's. Of images with
    targets, these are the images.

    `precision_cnn`, `recall_cnn` of the samples (Kynkaanniemi et al. 2019, with the `neighbours`
    nearest): the share of samples among the images, and of images among the samples.

    images: N, at most.
    """

    reports: ClassVar = {
        "frechet_cnn_samples": Reported(False),
        "frechet_cnn_reconstructions": Reported(False),
        "frechet_cnn_training": Reported(),  # it measures the data, not the model
        "precision_cnn": Reported(True),
        "recall_cnn": Reported(True),
    }

    images: PositiveInt
    neighbours: PositiveInt
    epochs: PositiveInt
    seed: NonNegativeInt

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Raises SkippedError for tables, without labels, or with very few images."""
        need_images(trial)
        labels_of(trial.training)
        test = trial.at_most(self.images)
        wanted = test.of_targets
        training = wanted.on(wanted.training).at_most(len(test))
        if min(len(test), len(training)) <= self.neighbours:
            raise SkippedError(f"{self.neighbours} neighbours of {len(test)} test images")
        model = trial.model
        classifier = cached_classifier(
            wanted.training, self.epochs, self.seed, trial.device, trial.cache
        )
        seen = features(classifier, (x for x, _ in training.batches()))
        spread = seen.std(0)
        scale = torch.where(spread > 0, spread, 1)
        real = features(classifier, (x for x, _ in wanted.batches())) / scale
        again = (model.reconstruct(x, y) for x, y in test.batches())
        values = {
            "frechet_cnn_training": frechet(seen / scale, real),
            "frechet_cnn_reconstructions": frechet(features(classifier, again) / scale, real),
        }
        if model.can_sample:
            made = features(classifier, samples(test)) / scale
            precision, recall = precision_recall(made, real, self.neighbours)
            values |= {
                "frechet_cnn_samples": frechet(made, real),
                "precision_cnn": precision,
                "recall_cnn": recall,
            }
        return values


def samples(trial: Trial) -> Iterator[Tensor]:
    """As many samples of the model as the trial has images, in batches of pixels (n, C, H, W).

    Of a class-conditional model also as many of each class.
    """
    generator = trial.generator()
    for x, y in trial.batches():
        yield trial.model.sample(len(x), generator, y)
