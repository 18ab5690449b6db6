"""Normalising flows: maps of R^dim onto itself whose Jacobian determinant is known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from zuko.flows.autoregressive import MaskedAutoregressiveTransform
from zuko.lazy import LazyComposedTransform
from zuko.transforms import MonotonicRQSTransform

from aecore.model.limits import check_room

Kind = Literal["affine", "spline"]
_BINS = 8


class Warp(nn.Module):
    """Autoregressive steps, each of which moves a number as those before it say.

    y_i = f(x_i; theta_i(x_1, ..., x_(i-1), context)), in every other step from the last to the
    first. affine: f = exp(a) x + b (Papamakarios et al. 2017; Kingma et al. 2016). spline: f is
    a monotonic rational-quadratic spline of 8 bins in [-5, 5], the identity outside (Durkan et al.
    2019). Forward all numbers are moved at once; backward one after another. At first nothing
    moves.

    dim: numbers. transforms: steps. hidden: units of the network of each step. context: numbers
    beside them, on which the map depends too.
    """

    def __init__(
        self, kind: Kind, dim: int, *, transforms: int, hidden: list[int], context: int = 0
    ) -> None:
        super().__init__()
        how: dict[str, Any] = {}
        if kind == "spline":
            how["univariate"] = MonotonicRQSTransform
            how["shapes"] = [(_BINS,), (_BINS,), (_BINS - 1,)]
        widths = [dim + context, *hidden, dim * (2 if kind == "affine" else 3 * _BINS - 1)]
        check_room(transforms * sum(a * b for a, b in pairwise(widths)))
        ahead = torch.arange(dim, device="cpu")
        with _numbers():
            self.steps = LazyComposedTransform(
                *[
                    MaskedAutoregressiveTransform(
                        dim,
                        context,
                        order=ahead.flip(0) if step % 2 else ahead,
                        hidden_features=hidden,
                        **how,
                    )
                    for step in range(transforms)
                ]
            )
        for step in self.steps.transforms:
            _still(step)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(..., dim) -> y (..., dim) and log |det dy/dx|, (...); context (..., numbers)."""
        with torch.autocast(x.device.type, enabled=False):
            y, log_det = self.steps(context).call_and_ladj(x)
        return y, log_det

    def inverse(self, y: Tensor, context: Tensor | None = None) -> Tensor:
        """The x of a y, both (..., dim); as slow as dim passes forward."""
        with torch.autocast(y.device.type, enabled=False):
            x: Tensor = self.steps(context).inv(y)
        return x


@contextmanager
def _numbers() -> Iterator[None]:
    """On the CPU where tensors have shapes but no numbers: what depends on what is computed."""
    if torch.get_default_device().type != "meta":
        yield
        return
    with torch.device("cpu"):
        yield


def _still(step: nn.Module) -> None:
    """Make a step the identity: what its network says last is 0."""
    owners = [module for module in step.modules() if [*module.parameters(recurse=False)]]
    for parameter in owners[-1].parameters(recurse=False):
        nn.init.zeros_(parameter)
