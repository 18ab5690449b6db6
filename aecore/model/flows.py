"""Normalising flows: invertible maps of R^dim with a known Jacobian determinant."""

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
    """A composition of autoregressive transforms.

    y_i = f(x_i; theta_i(x_1, ..., x_(i-1), context)), in reversed order in every other transform.
    affine: f = exp(a) x + b (Papamakarios et al. 2017; Kingma et al. 2016). spline: f is a
    monotonic rational-quadratic spline of 8 bins in [-5, 5], the identity outside (Durkan et al.
    2019). The forward map is one pass, the inverse one pass per dimension. Initially it is the
    identity.

    dim: dimensions. transforms: their number. hidden: units of the network of each transform.
    context: number of conditioning features.
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
        with _real_values():
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
            _to_identity(step)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(..., dim) -> y (..., dim) and log |det dy/dx|, (...); context (..., features)."""
        with torch.autocast(x.device.type, enabled=False):
            y, log_det = self.steps(context).call_and_ladj(x)
        return y, log_det

    def inverse(self, y: Tensor, context: Tensor | None = None) -> Tensor:
        """The x of y, both (..., dim); costs dim forward passes."""
        with torch.autocast(y.device.type, enabled=False):
            x: Tensor = self.steps(context).inv(y)
        return x


@contextmanager
def _real_values() -> Iterator[None]:
    """On the CPU if the default device is meta, for code that depends on computed values."""
    if torch.get_default_device().type != "meta":
        yield
        return
    with torch.device("cpu"):
        yield


def _to_identity(step: nn.Module) -> None:
    """Make a transform the identity: the last layer of its network becomes 0."""
    owners = [module for module in step.modules() if [*module.parameters(recurse=False)]]
    for parameter in owners[-1].parameters(recurse=False):
        nn.init.zeros_(parameter)
