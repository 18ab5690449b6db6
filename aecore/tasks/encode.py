"""`task=encode`: the codes of images."""

from __future__ import annotations

import shlex
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from aecore.config.component import PositiveInt
from aecore.config.terminal import say
from aecore.data.split import Split
from aecore.errors import UserError
from aecore.evaluation.figures.draw import save
from aecore.evaluation.figures.latent import codes_figure
from aecore.evaluation.selection import balanced, class_names
from aecore.tasks.files import write_arrays
from aecore.tasks.use import Opened, Use
from aecore.training.loggers.tensorboard import TensorBoard
from aecore.training.setup import build_loggers
from aecore.types import is_table


class Encode(Use):
    """Writes codes.npz, their scatter codes.png and what TensorBoard's projector shows.

    codes.npz, read without pickle: `ids` (N,) the names of the images, or their numbers; `codes`
    (N, *code_shape) float32; if known `labels` (N,) int64 and `class_names`; of discrete codes
    `indices` (N, ...) int64; of the run's own data `splits` (N,), what each image was
    in training: train, val, test, or unused.

    sample: whether codes are drawn from the posteriors; else they are the means.
    points: of the scatter, and of the projector, which takes 2000 at most.
    """

    takes = ("dataset", "split", "resize", "noise")

    sample: bool
    points: PositiveInt

    def use(self, opened: Opened) -> dict[str, float]:
        """All images of the run's data set by default."""
        if self.sample and not opened.ae.model.latent.variational:
            raise UserError(
                "encode.sample=true: this model's codes are not drawn, an image has only one",
                "leave it out",
            )
        split = opened.images("all")
        arrays = self._arrays(opened, split)
        write_arrays(opened.folder / "codes.npz", arrays)
        points = self._pictures(opened, split, torch.from_numpy(arrays["codes"]).flatten(1))
        say(f"{opened.describe(split, 'all')} encoded, codes {arrays['codes'].shape}")
        say(f"codes      {opened.folder / 'codes.npz'}: numpy.load gives {', '.join(arrays)}")
        say(f"picture    {opened.folder / 'codes.png'}, of {points:,}")
        if (opened.folder / "tensorboard").is_dir():
            say(f"projector  tensorboard --logdir {shlex.quote(str(opened.folder))}")
        return {}

    def _arrays(self, opened: Opened, split: Split) -> dict[str, NDArray[Any]]:
        codes, indices = self._codes(opened, split)
        arrays: dict[str, NDArray[Any]] = {"ids": np.array(opened.named(split)), "codes": codes}
        if indices is not None:
            arrays["indices"] = indices
        if split.labels is not None:
            arrays["labels"] = split.labels.cpu().numpy()
        if split.class_names is not None:
            arrays["class_names"] = np.array(split.class_names)
        if opened.run_data is opened.parts.data:
            which = opened.which("all")
            known = opened.run_data.origins if which == "all" else [which] * len(split)
            arrays["splits"] = np.array(known)
        return arrays

    def _codes(
        self, opened: Opened, split: Split
    ) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
        trial = opened.trial(split)
        model, generator = trial.model, trial.generator()
        draws: Generator | None = generator if self.sample else None
        codes, indices = [], []
        for x, y in trial.batches():
            encoder_input = x if opened.noise is None else model.corrupt(x, generator, opened.noise)
            code = model.encode(encoder_input, draws, y)
            codes.append(code.z.cpu().float())
            if code.indices is not None:
                indices.append(code.indices.cpu())
        return torch.cat(codes).numpy(), torch.cat(indices).numpy() if indices else None

    def _pictures(self, opened: Opened, split: Split, codes: Tensor) -> int:
        """Draw some of the codes (N, D); returns their number."""
        generator = Generator().manual_seed(opened.seed)
        chosen = balanced(split.labels, len(split), self.points, generator)
        images = split.subset(chosen)
        some = f"{len(chosen):,} of " if len(chosen) < len(split) else ""
        what = f"{some}{opened.describe(split, 'all')}"
        save(codes_figure(codes[chosen], images, what), opened.folder, "codes")
        ids = opened.named(split)
        texts = class_names(images) or [ids[n] for n in chosen.tolist()]
        table = is_table(opened.ae.image_shape)
        for logger in build_loggers(opened.parts, opened.folder):
            if isinstance(logger, TensorBoard):
                pixels = None if table else images.pixels()
                logger.embedding(codes[chosen], texts, pixels, 0)
                logger.finalize("success")
        return len(chosen)
