"""A trained model in Python: `ae = aecore.load("outputs/...")`, then `ae.encode(images)`.

Needs neither Hydra nor Lightning.
"""

from __future__ import annotations

import operator
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch
from torch import Generator, Tensor

from aecore.config.folders import command, expanded
from aecore.config.schema import Config
from aecore.data.pixels import Array, as_codes, as_labels, as_pixels, like_given
from aecore.errors import UserError, option, short
from aecore.model.autoencoder import Autoencoder
from aecore.model.conditioning import in_parts
from aecore.model.sample_codes import cycle_classes, sample_codes
from aecore.model.slots import MAIN, option_of
from aecore.runs.open import Run

if TYPE_CHECKING:
    from aecore.evaluation.metrics.anomaly_score import By, Units

_MOST = 2**31  # images drawn at once
_BATCH = 512  # images at once
_Function = Callable[[Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class FitResult:
    """The experiment and the metrics of a model trained in this process.

    metrics: of its training and its validation images. images: a few of those, (n, C, H, W), with
    their labels (n,) where the model is class-conditional. config, choices: as a run records them.
    """

    metrics: dict[str, float]
    images: Tensor
    labels: Tensor | None
    config: Config
    choices: Mapping[str, Any]


@dataclass(frozen=True, repr=False)
class Trained:
    """A trained autoencoder: arrays in, arrays out.

    Images are (N, C, H, W), uint8 0..255 or floats in [0, 1]; (N, H, W) where there is one
    channel, and rows (N, D) of a table. Where the training images lay outside [0, 1], floats are
    in their units, and 0 and 255 of uint8 are their smallest and largest pixel. They are handled
    in batches, without gradients. NumPy arrays give NumPy arrays; tensors give tensors on their
    own device. Labels (N,) are for conditional models, which need them; others take none. All
    raise UserError for what does not fit.

    model: the autoencoder, in evaluation mode. run: its files, None for a model without any.
    fitted: the result of its training, None for a model that was not trained in this process.
    """

    model: Autoencoder
    run: Run | None = None
    fitted: FitResult | None = None

    def encode(
        self,
        images: Array,
        labels: Array | None = None,
        *,
        sample: bool = False,
        seed: int = 0,
    ) -> Any:
        """Codes (N, *code_shape): the means, or draws from the posteriors where `sample`."""
        if not isinstance(sample, bool):
            raise UserError(f"sample={short(sample)}: must be True or False")
        draws = self._generator(seed) if sample else None

        def codes(x: Tensor, y: Tensor | None) -> Tensor:
            code = self.model.encode(x, draws, y)
            return code.z if sample else code.mean

        return self._mapped(codes, images, labels)

    def decode(self, codes: Array, labels: Array | None = None) -> Any:
        """Mean images (N, C, H, W) of codes; on [0, 1], not clamped."""
        z = as_codes(codes, self.code_shape, self.model.like)
        y = self._labels(labels, len(z))
        return like_given(codes, self._in_batches(self._decoded, z, y))

    def reconstruct(self, images: Array, labels: Array | None = None) -> Any:
        """Reconstructions of images, (N, C, H, W): without noise, from the mean codes."""
        return self._mapped(self.model.reconstruct, images, labels)

    def score(
        self,
        images: Array,
        labels: Array | None = None,
        *,
        by: By = "error",
        units: Units = "model",
        smooth: float = 0.0,
    ) -> Any:
        """Anomaly scores of images, (N,): larger is more anomalous.

        by: "error" is the mean squared error per pixel of the reconstruction; "peak" the largest
        one, of errors averaged by a Gaussian with a standard deviation of `smooth` pixels; "elbo"
        is minus the ELBO in nats (its code drawn once, by the seed 0), of variational models with
        a likelihood. units: of the errors of tables: "model" for standardised values, "data" for
        those given.
        """
        # imports the packages of all metrics
        from aecore.evaluation.metrics.anomaly_score import By, Units, scorer

        for name, value, known in (("by", by, get_args(By)), ("units", units, get_args(Units))):
            if not isinstance(value, str) or value not in known:
                raise UserError(f"{name}={short(value)}: must be one of {', '.join(known)}")
        if not isinstance(smooth, int | float) or not 0 <= smooth < inf:
            raise UserError(f"smooth={short(smooth)}: must be a number of pixels, 0 or more")
        if smooth and by != "peak":
            raise UserError(f"smooth={smooth:g}: smooths the errors of by='peak' alone")
        function = scorer(self.model, by, self._generator(0), units, smooth)
        return self._mapped(function, images, labels)

    def sample(
        self,
        n: int,
        labels: Array | None = None,
        *,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> np.ndarray:
        """`n` new images (n, C, H, W) from the sampler if the run has one, else from the prior.

        labels: their classes; a conditional model without takes one class after the other.
        temperature: scales the standard deviations of what codes are drawn from; below 1 images
        are more alike, and likelier.
        """
        model, n = self.model, _whole(n, "n")
        if not 0 <= n < _MOST:
            raise UserError(f"n={n}: must be from 0 to {_MOST - 1}")
        self._check_drawn()
        y = cycle_classes(model, n) if labels is None else self._labels(labels, n)
        with torch.no_grad():
            z = sample_codes(model, n, self._generator(seed), y, temperature)
        images = self._in_batches(lambda z, y: self._decoded(z, y).cpu(), z, y)
        return images.numpy()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.model.image_shape

    @property
    def code_shape(self) -> tuple[int, ...]:
        """Of one code."""
        return self.model.code_shape

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self.model.shift.device

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Of its training in this process, else of its run; empty where that is not finished."""
        if self.fitted is not None:
            return self.fitted.metrics
        return {} if self.run is None else self.run.metrics

    def __repr__(self) -> str:
        image, code = ("x".join(map(str, s)) for s in (self.image_shape, self.code_shape))
        place = "in memory" if self.run is None else str(self.run.place)
        options = " ".join(option(slot, name) for slot, name in self._options().items())
        return f"Trained({options}, images {image}, codes {code}, {place})"

    def _options(self) -> dict[str, Any]:
        """The option of each part of the model: that chosen, or the one of its class."""
        chosen = self._chosen()
        return {
            slot: chosen.get(slot) or option_of(slot, node)
            for slot, node in self.model.nodes.items()
            if slot in MAIN
        }

    def _chosen(self) -> Mapping[str, Any]:
        if self.fitted is not None:
            return self.fitted.choices
        return {} if self.run is None else self.run.choices

    def save(self, folder: str | Path) -> None:
        """Write the model as a finished run, for `aecore.load` and `run=` of the command line.

        Raises UserError where the folder holds a run, and for a model without a configuration.
        """
        from aecore.api.save import save_model  # loads what trains

        source = self.fitted if self.fitted is not None else self.run
        if source is None:
            raise UserError("save: this model was neither trained nor loaded here")
        names = None if self.run is None else self.run.class_names
        place = expanded(folder).absolute()
        save_model(self.model, place, source.config, source.choices, self.metrics, names)

    def _repr_html_(self) -> str:
        from aecore.api.html import page

        return page(self)

    def _mapped(self, function: _Function, images: Array, labels: Array | None) -> Any:
        """A function of images, for arrays of them."""
        x = as_pixels(images, self.image_shape, self.model.standardised, self.model.limits)
        return like_given(images, self._in_batches(function, x, self._labels(labels, len(x))))

    def _in_batches(self, function: _Function, x: Tensor, y: Tensor | None) -> Tensor:
        """A function of inputs (N, ...) and their labels, without gradients."""
        if not len(x):  # the shape of nothing
            one = None if y is None else y.new_zeros(1)
            return self._in_batches(function, x.new_zeros(1, *x.shape[1:]), one)[:0]
        with torch.no_grad():
            parts = in_parts(x, y, _BATCH)
            return torch.cat([function(part.to(self.device), labels) for part, labels in parts])

    def _decoded(self, z: Tensor, y: Tensor | None) -> Tensor:
        return self.model.decode(z, self.model.label_context(y))

    def _labels(self, labels: Array | None, n: int) -> Tensor | None:
        """Labels for a conditional model, on its device; None for another, which takes none."""
        classes = self.model.classes
        if classes is None:
            if labels is not None:
                raise UserError(
                    "labels: this model is not class-conditional",
                    "leave them out, or train a class-conditional one: conditional=true",
                )
            return None
        return as_labels(labels, n, classes).to(self.device)

    def _check_drawn(self) -> None:
        """Raise UserError if the codes have neither prior nor sampler."""
        if self.model.can_sample or self.model.needs_context:
            return
        hint = 'train with overrides="sampler=gmm", which fits a distribution to them'
        if self.run is not None:
            run = shlex.quote(f"run={self.run.place}")
            hint = f"{command()} {run} task=sample sampler=gmm\n  or train with sampler=gmm"
        raise UserError("nothing to sample from: this model has no distribution of its codes", hint)

    def _generator(self, seed: int) -> Generator:
        try:
            return Generator(device=self.device).manual_seed(_whole(seed, "seed"))
        except (RuntimeError, ValueError, OverflowError) as error:  # of more than 64 bits
            raise UserError(f"seed={seed}: must be below 2**64") from error


def _whole(value: Any, name: str) -> int:
    """A whole number, whatever holds it; UserError for others."""
    try:
        return operator.index(value)
    except TypeError as error:
        raise UserError(f"{name}={short(value)}: must be an integer") from error
