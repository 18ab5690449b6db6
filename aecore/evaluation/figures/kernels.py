"""The weights of the first and of the last layer as images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Literal

from matplotlib.figure import Figure
from torch import Tensor, nn

from aecore.config.component import PositiveInt
from aecore.errors import SkippedError
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.grid import image_grid
from aecore.evaluation.figures.heat import centred, colour_weights, enlarged, in_rows, side_of
from aecore.evaluation.figures.scale import Scale
from aecore.evaluation.metrics.activity import layer_batches
from aecore.evaluation.trial import Trial, need_images
from aecore.model.layers import dead_units, layers
from aecore.model.networks.base import flat
from aecore.types import ImageShape

_MOST = 192  # filters of all runs in one figure


class Kernels(TrialFigure):
    """The weights between the pixels and the units next to them, as images.

    side: 'encoder' shows the rows of the first matrix or the filters of the first convolution,
    'decoder' the columns of the last matrix or the last filters.
    count: units shown, at most, the first ones. columns: side by side.

    All share one colour scale around 0. The title counts the dead units among all (see
    `dead_units`; of the decoder: of the inputs of the last layer), over all test
    images; those among the shown ones are marked.
    """

    side: Literal["encoder", "decoder"]
    count: PositiveInt
    columns: PositiveInt

    def __call__(self, trial: Trial) -> Figure:
        """Draw; raises SkippedError where that layer does not touch the pixels."""
        weights, dead = self._weights(trial)
        shown = weights[: self.count].cpu()
        scale = _scale([shown])
        pictures = enlarged(colour_weights(shown, scale), side_of(len(shown)))
        rows = in_rows(pictures, min(self.columns, len(shown)))
        coloured = weights.shape[1] == 3
        colours = f"; grey is 0, full colour {scale.limit:.2g}" if coloured else ""
        title = f"{self._layer}: {_note(weights, shown, dead)}{colours}"
        # a space if it is not dead, so that all rows have equal distances
        marks = ["dead" if gone else " " for gone in dead[: len(shown)].tolist()]
        width = len(rows[0])
        captions = [marks[n : n + width] for n in range(0, len(marks), width)]
        return image_grid(
            rows,
            title=title,
            captions=captions if dead.any() else (),
            scale=None if coloured else scale,
        )

    def draw_runs(self, trials: Mapping[str, Trial]) -> Figure:
        """Rows of filters for each run, on one scale, with the number of dead units.

        Of all runs 192 filters at most. Runs without such a layer are named in the title. Raises
        SkippedError where fewer than two have one, or where some are in colour and some are not.
        """
        by_run: dict[str, tuple[Tensor, Tensor]] = {}
        for name, trial in trials.items():
            with suppress(SkippedError):
                by_run[name] = self._weights(trial)
        if len(by_run) < 2 or len({w.shape[1] == 3 for w, _ in by_run.values()}) > 1:
            raise SkippedError("fewer than two runs have filters of one kind")
        count = min(self.count, max(_MOST // len(by_run), 1))
        shown = {name: weights[:count].cpu() for name, (weights, _) in by_run.items()}
        scale, sizes = _scale([*shown.values()]), [len(weights) for weights in shown.values()]
        limit = side_of(sum(sizes))
        pictures = {n: enlarged(colour_weights(w, scale), limit) for n, w in shown.items()}
        side = max(max(picture.shape[2:]) for picture in pictures.values())
        rows, labels, gaps = [], [], []
        for name, (weights, dead) in by_run.items():
            more = in_rows(centred(pictures[name], side), min(self.columns, max(sizes)))
            rows += more
            label = "\n".join([*name.split(" · "), _note(weights, shown[name], dead)])
            labels += [label, *[""] * (len(more) - 1)]
            gaps.append(len(rows) - 1)
        coloured = weights.shape[1] == 3
        colours = f"grey is 0, full colour {scale.limit:.2g}" if coloured else "one colour scale"
        without = [name for name in trials if name not in by_run]
        none = f"; none in {', '.join(without)}" if without else ""
        return image_grid(
            rows,
            title=f"{self._layer} of each run, {colours}{none}",
            labels=labels,
            gaps=gaps[:-1],
            scale=None if coloured else scale,
        )

    @property
    def _layer(self) -> str:
        return "First layer" if self.side == "encoder" else "Last layer"

    def _weights(self, trial: Trial) -> tuple[Tensor, Tensor]:
        """The weights (units, C, H, W), and which units are dead, (units,) bool."""
        need_images(trial)
        model = trial.model
        seen = layers(model, *trial.first(1).tensors())
        if self.side == "encoder":
            weights = incoming(seen[0].module, model.encoder_shape)
            dead = dead_units(batch[0].output for batch in layer_batches(trial))
        else:
            weights = outgoing(seen[-1].module, model.image_shape)
            dead = dead_units(batch[-1].input for batch in layer_batches(trial))
        if weights is None:
            raise SkippedError(f"the {self.side} has no layer of weights next to the pixels")
        # without those of the class
        return weights[:, : model.image_shape[0]].detach().float(), dead


def _scale(weights: Sequence[Tensor]) -> Scale:
    """One signed scale for all these weights."""
    return Scale(max(*(float(w.abs().max()) for w in weights), 1e-12), label="weight")


def _note(weights: Tensor, shown: Tensor, dead: Tensor) -> str:
    few = f", {len(shown)} shown" if len(shown) < len(weights) else ""
    return f"{len(weights)} units{few}, {int(dead.sum())} dead"


def incoming(module: nn.Module, shape: ImageShape) -> Tensor | None:
    """The weights of a layer whose input is an image, (units, C, H, W); None for another."""
    if isinstance(module, nn.Linear) and module.in_features == flat(shape):
        return module.weight.reshape(-1, *shape)
    if isinstance(module, nn.Conv2d) and module.in_channels == shape[0]:
        return module.weight
    return None


def outgoing(module: nn.Module, shape: ImageShape) -> Tensor | None:
    """The weights of a layer whose output is an image, (inputs, C, H, W); None for another."""
    if isinstance(module, nn.Linear) and module.out_features == flat(shape):
        return module.weight.T.reshape(-1, *shape)
    if isinstance(module, nn.Conv2d) and module.out_channels == shape[0]:
        return module.weight.transpose(0, 1)
    if isinstance(module, nn.ConvTranspose2d) and module.out_channels == shape[0]:
        return module.weight
    return None
