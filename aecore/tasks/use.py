"""The base class of tasks with a trained run: model, images, and folder of results."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import torch
from torch import Generator, Tensor
from typing_extensions import override

from aecore.api.trained import Trained
from aecore.config.terminal import say
from aecore.data.classes import renumbered
from aecore.data.module import ImageData
from aecore.data.pixels import resized, resized_masks
from aecore.data.split import Split, to_pixels
from aecore.errors import ConfigError, UserError
from aecore.evaluation.metrics.common import NOISE_STREAM
from aecore.evaluation.trial import Trial, noun_of, scaled_note
from aecore.model.noise.base import Noise
from aecore.runs.open import Run
from aecore.tasks.base import Request, Task
from aecore.tasks.reuse import OPTIONS, TEST_NOISE
from aecore.training.fit_sampler import fit_sampler
from aecore.training.machine import check_device, device_of, set_threads
from aecore.training.setup import Experiment, build_data, build_experiment
from aecore.types import is_table

_RESIZE = "resize=true resizes and crops them"
_LISTED = 150  # letters of a list of classes


@dataclass(frozen=True)
class Opened:
    """A trained run, opened for a task; images are read when first asked for.

    ae: the trained model, on its device. parts: the components of the run, with the overrides of
        the command.
    limits: (2,) range of the training pixels, which is scaled to [0, 1] in `ae` and in the images;
        None if they lie in [0, 1].
    """

    request: Request
    run: Run
    parts: Experiment
    ae: Trained
    limits: Tensor | None = None

    @cached_property
    def folder(self) -> Path:
        """Where the task's results go; made when first asked for, so a refused task leaves none."""
        return self.request.folder()

    @property
    def seed(self) -> int:
        """Of all that the task draws."""
        return self.parts.config.seed

    @property
    def noise(self) -> Noise | None:
        """The noise added to the input of the model, None for none.

        It is that of this command, not that of the run.
        """
        noise = self.parts.test_noise
        return noise if noise.active and "noise" in self.request.options else None

    @property
    def is_other_data(self) -> bool:
        """Whether the images are of another data set than that of the run."""
        return "dataset" in self.request.options

    @cached_property
    def run_data(self) -> ImageData:
        """The data that the model was trained on, where this command says that data lie."""
        recorded, here = self.run.config, self.parts.config
        node = dict(recorded.dataset)
        if "cache_dir" in node:
            node["cache_dir"] = here.dataset.get("cache_dir")
        if node == here.dataset:
            return self.parts.data
        return build_data(recorded.model_copy(update={"dataset": node, "paths": here.paths}))

    def which(self, default: str) -> str:
        """The split to be used: the one given, else the default of the task.

        Of data that come without a split, a folder of images say, that is all of them.
        """
        settings = self.parts.config
        unparted = self.is_other_data and "test_fraction" in settings.dataset
        return settings.split or ("all" if unparted else default)

    @property
    def chooses_size(self) -> bool:
        """Whether `dataset.image_size` was typed with the task."""
        return any(o.startswith("dataset.image_size=") for o in self.request.overrides)

    def images(self, default: str = "test") -> Split:
        """The images that the task is about, of the shape that the model takes.

        default: which split, where none was given. Raises OtherShapeError for images of another
        size or with other channels, unless they are to be converted (`resize=true`, or their size
        typed as `dataset.image_size`), which is said.
        """
        shape, resize = self.ae.image_shape, self.parts.config.resize
        mismatch = self.parts.data.source.shape_mismatch(shape) if self.is_other_data else None
        if mismatch is not None and not (resize or self.chooses_size):
            raise OtherShapeError(f"{mismatch}: {_expected(self.ae)}", _RESIZE)
        split = self.loaded(default)
        fits = split.image_shape == shape
        if not fits and (is_table(shape) or is_table(split.image_shape)):
            size, taken = ("x".join(map(str, sides)) for sides in (split.image_shape, shape))
            raise OtherShapeError(f"dataset: its images are {size}, this model takes {taken}",
                                  "the rows of a table cannot be converted")  # fmt: skip
        if not (fits or resize):
            size = "x".join(map(str, split.image_shape))
            raise OtherShapeError(f"dataset: its images are {size}: {_expected(self.ae)}", _RESIZE)
        if not fits or mismatch is not None:
            say(f"images that are not {shape[1]} high and {shape[2]} wide are resized and cropped")
        if fits:
            return split
        images, targets = (
            torch.cat([self._resized(part) for part in some.parts(some.part_size)])
            for some in (split, split.of_targets)
        )
        targeted = None if split.targets is None else targets
        masks = None if split.masks is None else resized_masks(split.masks, shape)
        return replace(split, images=images, targets=targeted, masks=masks, rows=None)

    def _resized(self, part: Tensor) -> Tensor:
        """Stored images in the shape of the model.

        Pixels of 8 bits stay so where `Split.rescaled` has a use for it.
        """
        pixels: Tensor = resized(to_pixels(part), self.ae.image_shape)
        keep = part.dtype == torch.uint8 and self.ae.model.limits is not None
        return (pixels * 255).round().to(torch.uint8) if keep else pixels

    def loaded(self, default: str = "test") -> Split:
        """The images as the data set has them, in the range and with the classes of the model."""
        which = self.which(default)
        split: Split | None = getattr(self.parts.data, "whole" if which == "all" else which)
        if split is None:
            raise UserError("split=val: this run has no validation images", "use split=test")
        return self.scaled(self.classed(split))

    def scaled(self, split: Split) -> Split:
        """Images as the data set has them, in the range that `ae` takes; see `Split.rescaled`."""
        return split if self.limits is None else split.rescaled(self.limits)

    def classed(self, split: Split) -> Split:
        """The images, their classes numbered as the model knows them.

        Raises UserError for a class-conditional model that does not know these classes.
        """
        names, count = self.run.class_names, self.ae.model.classes
        same = split.class_names == names or None in (split.class_names, names)
        numbered = split if same else renumbered(split, names or ())
        if count is None:
            return split if numbered is None else numbered
        if split.labels is None:
            raise UserError(
                "dataset: this model is class-conditional, and these images have no labels",
                "use images with labels, or a model without conditional=true",
            )
        if numbered is None or not 0 <= split.labels.min() <= split.labels.max() < count:
            theirs = split.class_names or sorted(set(split.labels.tolist()))
            known, here = (
                text if len(text) <= _LISTED else f"{text[:_LISTED]}..."
                for text in (", ".join(map(str, some)) for some in (names or range(count), theirs))
            )
            raise UserError(
                "dataset: this model is class-conditional, and these images are of other classes",
                f"known: {known}\n  here: {here}",
            )
        return numbered

    def describe(self, split: Split, default: str = "test") -> str:
        """`10,000 test images of mnist`: which images these are, for the terminal."""
        which, name = self.which(default), self.request.choices["dataset"]
        kinds = {"train": "training ", "val": "validation ", "test": "test ", "all": ""}
        noun = noun_of(self.ae.image_shape)
        noun = noun if len(split) > 1 else noun[:-1]
        return f"{len(split):,} {kinds[which]}{noun}{f' of {name}' if name else ''}"

    def trial(self, split: Split) -> Trial:
        """The model with these images."""
        batch_size = self.parts.data.eval_batch_size
        return Trial(self.ae.model, split, seed=self.seed, batch_size=batch_size)

    def inputs(self, *splits: Split) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        """Batches of what outputs are compared with, the inputs of the model, and their labels.

        These are the images, and the images with the noise of `evaluate`, draw for draw; of images
        with targets, the targets in place of the former. Of images that are larger than those of
        the training a batch has fewer, with about as many pixels.
        """
        generator = Generator(device=self.ae.device).manual_seed(self.seed + NOISE_STREAM)
        most = self.parts.data.eval_batch_size
        for split in splits:
            share = math.prod(self.ae.image_shape) / math.prod(split.image_shape)
            for x, y, target in self.trial(split).pairs(max(int(most * min(share, 1)), 1)):
                noise = self.noise
                seen = x if noise is None else self.ae.model.corrupt(x, generator, noise)
                yield target, seen, y

    def named(self, split: Split) -> list[str]:
        """A name for each image: its file's, else its number."""
        return list(split.names or map(str, range(len(split))))


class OtherShapeError(UserError):
    """Images of another shape than the model was trained on."""


class Use(Task):
    """Something that is done with a trained run (`run=...`).

    takes: what goes with `run=`, of `OPTIONS`; anything else is refused, so that nobody
        believes that it had an effect.
    unit_range: whether pixels are scaled to [0, 1] where those of the training lie outside.
    """

    uses_run: ClassVar[bool] = True
    takes: ClassVar[Collection[str]] = OPTIONS
    unit_range: ClassVar[bool] = True

    @abstractmethod
    def use(self, opened: Opened) -> dict[str, float]:
        """Do it; returns metrics. Raises UserError before anything is written."""

    @override
    def __call__(self, request: Request) -> dict[str, float]:
        if request.run is None:
            raise UserError(
                f"task={request.config['task']}: with which trained run?",
                "add run=outputs/..., or run=last for the newest",
            )
        self._check_options(request)
        try:
            parts, run = build_experiment(request.config, request.secrets), request.run
        except ConfigError as error:
            names = {TEST_NOISE: "noise"} if "noise" in request.options else {}  # as it is typed
            raise error.renamed(names) from error
        check_device(parts.config)
        set_threads(parts.config.trainer.threads)
        model = run.model(sampler=False).to(device_of(parts.config))
        limits = model.limits if self.unit_range else None
        used = model if limits is None else model.in_unit_range()
        opened = Opened(request, run, parts, Trained(used, run), limits)
        unchanged = parts.config.sampler == run.config.sampler
        if unchanged and "sampler" not in request.options:
            used.sampler = run.sampler(model)
        elif parts.components.sampler is not None:  # fitted to the training data of the model
            sampler = parts.components.sampler
            try:
                images = len(opened.run_data.train)
            except UserError as error:
                raise error.with_hint(
                    "a sampler is fitted to the images of the training: run=FOLDER_OF_THE_RUN"
                ) from error
            sampler.check(model, images)
            used.sampler = fit_sampler(sampler, opened.run_data, parts.config, model)
        if limits is not None:
            say(scaled_note(limits))
        if model.limits is not None and opened.is_other_data:
            low, high = model.limits.tolist()
            say(f"black and white of 8-bit images are {low:g} and {high:g}")
        with torch.no_grad():
            return self.use(opened)

    def _check_options(self, request: Request) -> None:
        """Raise UserError for an override that the task does not use."""
        for root, typed in request.options.items():
            if root not in self.takes:
                known = ", ".join(key for key in OPTIONS if key in self.takes)
                raise UserError(
                    f"{typed}: task={request.config['task']} has no use for {root}",
                    f"leave it out; it takes {known}",
                )


def _expected(ae: Trained) -> str:
    channels, height, width = ae.image_shape
    kind = {1: "grey", 3: "colour"}.get(channels, f"of {channels} channels")
    size = f"{height} high and {width} wide"
    return f"this model takes {kind} images, {size}"
