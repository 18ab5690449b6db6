"""Whether what a model makes is distributed as the images are, to the eyes of a classifier."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from aecore.config.component import NonNegativeInt, PositiveInt, component
from aecore.data.split import Split
from aecore.errors import NotApplicable
from aecore.evaluation.metrics.base import Metric, Subject
from aecore.evaluation.metrics.mean_codes import part_of
from aecore.evaluation.metrics.probe import labels_of
from aecore.evaluation.metrics.samples.classifier_cache import remembered
from aecore.evaluation.metrics.samples.distances import frechet, precision_recall
from aecore.evaluation.metrics.samples.extractor import features


class Frechet(Metric):
    """Samples and reconstructions beside test images, by the features of a small classifier.

    The classifier is trained here on the labels of the training images, for `epochs`, from `seed`
    whatever the run's, and kept in the data cache, so that further runs on the same images need
    not; it sees pixels clamped to [0, 1]. Its 64 features are scaled to variance 1 over the
    training images.

    `frechet_cnn_samples`, `frechet_cnn_reconstructions`, `frechet_cnn_training`: the Frechet
    distance (Heusel et al. 2017, with these features) to N test images of as many new images, of
    the same images reconstructed, and of as many training images, which is what a perfect model
    comes to. It falls with N, so compare at equal N, and with no other extractor's.

    `precision_cnn`, `recall_cnn` of the samples (Kynkaanniemi et al. 2019, with the `neighbours`
    nearest): the share of samples among the images, and of images among the samples.

    images: N, at most.
    """

    @component
    def __init__(
        self,
        *,
        images: PositiveInt,
        neighbours: PositiveInt,
        epochs: PositiveInt,
        seed: NonNegativeInt,
    ) -> None:
        self.images = images
        self.neighbours = neighbours
        self.epochs = epochs
        self.seed = seed

    def __call__(self, subject: Subject) -> dict[str, float]:
        """Raises NotApplicable for tables, without labels, or with very few images."""
        if subject.is_table:
            raise NotApplicable("the rows of a table are no images")
        labels_of(subject.training)
        test = part_of(subject.test, self.images, subject.seed)
        training = part_of(subject.training, len(test), subject.seed)
        if min(len(test), len(training)) <= self.neighbours:
            raise NotApplicable(f"{self.neighbours} neighbours of {len(test)} test images")
        model, device = subject.model, subject.model.shift.device
        classifier = remembered(subject.training, self.epochs, self.seed, device, subject.cache)
        seen = features(classifier, subject.batches(training))
        spread = seen.std(0)
        scale = torch.where(spread > 0, spread, 1)
        real = features(classifier, subject.batches(test)) / scale
        again = (model.reconstruct(x, y) for x, y in subject.labelled(test))
        found = {
            "frechet_cnn_training": frechet(seen / scale, real),
            "frechet_cnn_reconstructions": frechet(features(classifier, again) / scale, real),
        }
        if model.can_sample:
            made = features(classifier, samples(subject, test)) / scale
            precision, recall = precision_recall(made, real, self.neighbours)
            found |= {
                "frechet_cnn_samples": frechet(made, real),
                "precision_cnn": precision,
                "recall_cnn": recall,
            }
        return found


def samples(subject: Subject, like: Split) -> Iterator[Tensor]:
    """New images of the model in batches, pixels (n, C, H, W): as many as a split has, in all.

    Of a conditional model also as many of each class.
    """
    generator = subject.generator()
    for x, y in subject.labelled(like):
        yield subject.model.sample(len(x), generator, y)
