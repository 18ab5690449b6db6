"""An exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from aecore.model.autoencoder import Autoencoder
from aecore.runs.checkpoint import PREFIX

# keys of a checkpoint: in a file, the weights that are trained; read from one, their averages
TRAINED, AVERAGED = "trained_weights", "averaged_weights"
Tensors = tuple[Tensor, ...] | list[Tensor]


class WeightAverage:
    """A second model, whose weights are `decay * average + (1 - decay) * weights` after each step.

    The first average are the weights after the first step (Polyak & Juditsky 1992; with this decay
    Tarvainen & Valpola 2017). Buffers of floating point are averaged too, so that the statistics of
    batch norm and the vectors of a codebook are those that belong to the averaged weights; counts
    and flags are copied.
    """

    def __init__(
        self, model: Autoencoder, decay: float, averages: Mapping[str, Tensor] | None = None
    ) -> None:
        """model: with the parameters on their device. decay: in (0, 1).

        averages: of a checkpoint, with which it continues; None before the first step.
        """
        mean: Any = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]

        def average(averages: Tensors, values: Tensors, count: Tensor | int) -> None:
            if averages[0].is_floating_point():
                mean(averages, values, count)
            else:
                torch._foreach_copy_(averages, values)

        self._averaged: Any = AveragedModel(model, multi_avg_fn=average, use_buffers=True).eval()
        if averages is not None:
            self.model.load_state_dict(averages)
            self._averaged.n_averaged.fill_(1)

    @property
    def model(self) -> Autoencoder:
        """The model with the averaged weights, in evaluation mode."""
        model: Autoencoder = self._averaged.module
        return model

    @torch.no_grad()
    def update(self, model: Autoencoder) -> None:
        """Add the weights after a step of the optimizer."""
        self._averaged.update_parameters(model)

    def put_into(self, checkpoint: dict[str, Any], model: Autoencoder) -> None:
        """Make the averages the weights of a checkpoint, which holds the trained ones beside."""
        checkpoint[TRAINED] = model.state_dict()
        averages = self.model.state_dict()
        checkpoint["state_dict"] = {PREFIX + name: value for name, value in averages.items()}
