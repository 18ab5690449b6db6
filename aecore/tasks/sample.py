"""`task=sample`: new images."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence

import torch
from matplotlib.figure import Figure
from torch import Generator, Tensor

from aecore.config.component import NonNegativeFloat, PositiveInt, Seed
from aecore.config.folders import command
from aecore.config.terminal import say
from aecore.data.classes import Classes
from aecore.errors import ConfigError, UserError, nearest
from aecore.evaluation.figures.draw import save
from aecore.evaluation.figures.grid import image_grid
from aecore.model.conditioning import in_parts
from aecore.model.sample_codes import sample_codes
from aecore.tasks.files import png_names, write_image, write_table
from aecore.tasks.use import Opened, Use
from aecore.types import is_table

_BATCH = 512  # images decoded at once
_SHOWN, _TURN = 100, 16  # maximum number of images, and of columns of classes, in samples.png


class Sample(Use):
    """Writes samples.png, and every image by itself: images/0000.png, images/0001.png, ...

    Of a conditional model they lie in a folder for each class, images/CLASS/0000.png, so that
    images/ is a data set with labels. The rows of a table go to samples.npz, as `x` (N, D), their
    classes as `y`.

    n: how many. label: a class or several in turn, by name or number, for a conditional model;
    None for all that it was trained on. temperature: scales the standard deviations of what codes
    are drawn from. seed: of the draws.
    """

    takes = ("sampler",)

    n: PositiveInt
    label: Classes | None
    temperature: NonNegativeFloat
    seed: Seed

    def use(self, opened: Opened) -> dict[str, float]:
        """From the sampler if one was given or the run has one, else from the prior."""
        ae, y = opened.ae, self._classes(opened)
        if not (ae.model.can_sample or ae.model.needs_context):
            run = shlex.quote(f"run={opened.request.config['run']}")
            raise UserError(
                "task=sample: this model has no distribution of its codes",
                f"fit one: {command()} {run} task=sample sampler=gmm",
            )
        generator = Generator(ae.device).manual_seed(self.seed)
        try:
            codes = sample_codes(ae.model, self.n, generator, y, self.temperature)
        except ConfigError as error:
            raise error.renamed({"temperature": "sample.temperature"}) from error
        names = _names(opened)
        classes = [] if y is None else [names[k] for k in y.tolist()]
        source = "the prior"
        if ae.model.sampler is not None and opened.parts.components.sampler is not None:
            source = f"sampler={opened.parts.components.sampler.name}"
        if is_table(ae.image_shape):
            rows = torch.cat([*_decoded(opened, codes, y)])
            write_table(
                opened.folder / "samples.npz", rows, y, opened.run.config.dataset.get("columns")
            )
            say(f"{self.n:,} new rows from {source}\nrows     {opened.folder / 'samples.npz'}")
        else:
            self._write_images(opened, codes, y, classes)
            say(f"{self.n:,} new image{'s' if self.n > 1 else ''} from {source}")
            say(f"images   {opened.folder / 'images'} ({self.n:,} PNG)")
            say(f"picture  {opened.folder / 'samples.png'}")
        return {}

    def _classes(self, opened: Opened) -> Tensor | None:
        """The class of each image (n,), on the device; None if not class-conditional."""
        ae, only = opened.ae, opened.run.config.dataset.get("classes")
        if ae.model.classes is None:
            if self.label is None:
                return None
            raise ConfigError(
                "sample.label",
                self.label,
                "this model is not class-conditional",
                "leave it out, or train a class-conditional one: conditional=true",
            )
        names = _names(opened)
        trained = [*range(len(names))] if only is None else _labels(only, names)
        wanted = trained if self.label is None else _labels(self.label, names)
        if self.label is not None and not set(wanted) <= set(trained):
            known = ", ".join(names[k] for k in trained)
            raise ConfigError(
                "sample.label", self.label, f"this model was trained on {known} alone"
            )
        turn = torch.arange(self.n, device=ae.device) % len(wanted)
        return torch.tensor(wanted, device=ae.device)[turn]

    def _write_images(
        self, opened: Opened, codes: Tensor, y: Tensor | None, classes: Sequence[str]
    ) -> None:
        digits = max(4, len(str(self.n - 1)))
        numbers = [f"{n:0{digits}d}" for n in range(self.n)]
        folders = [name.replace("/", "_") for name in classes] or ["."] * self.n
        paths = iter(png_names([f"{f}/{n}" for f, n in zip(folders, numbers, strict=True)]))
        shown: list[Tensor] = []
        for images in _decoded(opened, codes, y):
            shown += images[: _SHOWN - len(shown)]
            for image in images:
                write_image(opened.folder / "images" / next(paths), image)
        save(self._figure(torch.stack(shown), classes), opened.folder, "samples")

    def _figure(self, images: Tensor, classes: Sequence[str]) -> Figure:
        """The first images (N, C, H, W), with the names of their classes if they have some."""
        square, turn = math.sqrt(len(images)), len(set(classes))
        several = turn > 1
        # whole turns side by side, so that a column is of one class
        columns = turn * max(1, round(square / turn)) if 1 < turn <= _TURN else math.ceil(square)
        empty = torch.ones(-len(images) % columns, *images.shape[1:])
        rows = torch.split(torch.cat([images, empty]), columns)
        texts = [*classes[: len(images)], *[""] * len(empty)]
        captions = [texts[n : n + columns] for n in range(0, len(texts), columns)]
        some = f"{len(images)} of " if len(images) < self.n else ""
        title = f"{some}{self.n:,} new image{'s' * (self.n > 1)}"
        title += "" if several or not classes else f" of class {classes[0]}"
        title += "" if self.temperature == 1 else f", temperature {self.temperature:g}"
        return image_grid(rows, title=title, captions=captions if several else ())


def _decoded(opened: Opened, codes: Tensor, y: Tensor | None) -> Iterator[Tensor]:
    """The images of codes, in parts (n, C, H, W), on the CPU."""
    model = opened.ae.model
    for part, given in in_parts(codes, y, _BATCH):
        yield model.decode(part, model.label_context(given)).cpu()


def _names(opened: Opened) -> list[str]:
    """Names of the classes of a class-conditional model, or their numbers."""
    names = opened.run.class_names
    return list(names or map(str, range(opened.ae.model.classes or 0)))


def _labels(classes: Classes, names: Sequence[str]) -> list[int]:
    """The label of each class, given by name or number; UserError if there is no such class."""
    labels = []
    for one in classes if isinstance(classes, list) else [classes]:
        if str(one) in names:
            labels.append(names.index(str(one)))
        elif isinstance(one, int) and one < len(names):
            labels.append(one)
        else:
            known = f"{', '.join(names[:20])}{', ...' if len(names) > 20 else ''}"
            raise ConfigError(
                "sample.label",
                classes,
                f"no class {one!r}{nearest(str(one), names)}",
                f"known: {known}",
            )
    return labels
