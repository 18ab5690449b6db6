"""The weights of the first and of the last layer as images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from matplotlib.figure import Figure
from torch import Tensor, nn

from aecore.config.component import PositiveInt
from aecore.errors import SkippedError
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.grid import image_grid
from aecore.evaluation.figures.heat import colour_weights, in_rows
from aecore.evaluation.figures.panels import Filters, filter_panels, most_shown
from aecore.evaluation.figures.scale import Scale
from aecore.evaluation.metrics.activity import layer_batches
from aecore.evaluation.trial import Trial, need_images
from aecore.model.layers import dead_units, layers
from aecore.model.networks.base import flat
from aecore.types import ImageShape


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
        weights, dead = self._found(trial)
        shown = weights[: self.count].cpu()
        scale = _scale([shown])
        pictures = in_rows(colour_weights(shown, scale), self.columns)
        coloured = weights.shape[1] == 3
        colours = f"; grey is 0, full colour {scale.limit:.2g}" if coloured else ""
        title = f"{self._layer}: {_note(weights, shown, dead)}{colours}"
        # a space if it is not dead, so that all rows have equal distances
        marks = ["dead" if gone else " " for gone in dead[: len(shown)].tolist()]
        width = len(pictures[0])
        captions = [marks[n : n + width] for n in range(0, len(marks), width)]
        return image_grid(
            pictures,
            title=title,
            captions=captions if dead.any() else (),
            scale=None if coloured else scale,
        )

    def draw_runs(self, trials: Mapping[str, Trial]) -> Figure:
        """A square of filters per run, on one scale, with the number of dead units.

        Runs without such a layer are named in the title. Raises SkippedError where fewer than
        two have one, or where some are in colour and some are not.
        """
        panels, without = [], []
        for name, trial in trials.items():
            try:
                weights, dead = self._found(trial)
            except SkippedError:
                without.append(name)
                continue
            shown = weights[: most_shown(weights, self.count)].cpu()
            panels.append(Filters(name, _note(weights, shown, dead), shown))
        if len(panels) < 2 or len({panel.weights.shape[1] == 3 for panel in panels}) > 1:
            raise SkippedError("fewer than two runs have filters of one kind")
        scale = _scale([panel.weights for panel in panels])
        coloured = panels[0].weights.shape[1] == 3
        colours = f"grey is 0, full colour {scale.limit:.2g}" if coloured else "one colour scale"
        none = f"; none in {', '.join(without)}" if without else ""
        return filter_panels(panels, f"{self._layer} of each run, {colours}{none}", scale)

    @property
    def _layer(self) -> str:
        return "First layer" if self.side == "encoder" else "Last layer"

    def _found(self, trial: Trial) -> tuple[Tensor, Tensor]:
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
