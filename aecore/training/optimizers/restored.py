"""States of optimizers and schedules in a checkpoint, by those of the ones that are built."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from aecore.training.optimizers.gradient import GradientDescent

GREATEST = 2**31  # of counts


def restored_states(
    optimizer: GradientDescent, built: torch.optim.Optimizer, saved: Mapping[int, Any]
) -> dict[int, Any]:
    """What an optimizer keeps of each parameter, in memory of its own; empty before any step.

    Kernels take it for granted that this is there, and of the parameter's shape. A parameter of
    which nothing was kept, as it had no gradient, begins with zeros; where an optimizer begins
    otherwise it is left out, and torch begins with its first gradient.
    Raises ValueError for anything else.
    """
    parameters = [p for group in built.param_groups for p in group["params"]]
    if unknown := saved.keys() - range(len(parameters)):
        raise ValueError(f"optimizer_states.{min(unknown)}: no such parameter")
    kept: dict[tuple[Any, ...], Any] = {}
    states = {}
    for index, parameter in enumerate(parameters if saved else []):
        if index not in saved and not optimizer.begins_with_zeros:
            continue
        kind = (parameter.shape, parameter.dtype)
        if kind not in kept:
            kept[kind] = _kept(optimizer, parameter)
        here = saved.get(index, kept[kind])
        states[index] = alike(kept[kind], here, f"optimizer_states.{index}")
    return states


def _kept(optimizer: GradientDescent, parameter: Tensor) -> dict[str, Any]:
    """Zeros like what an optimizer keeps of a parameter, found by one step of another one."""
    other = nn.Parameter(torch.zeros_like(parameter))
    other.grad = torch.zeros_like(parameter)
    built = optimizer([other])
    built.step()
    state = built.state_dict()["state"].get(0, {})
    return {k: torch.zeros_like(v) if isinstance(v, Tensor) else v for k, v in state.items()}


def alike(built: Any, saved: Any, where: str) -> Any:
    """A saved value where it is of the kind of the built one; ValueError where it is not.

    Keys of dictionaries are those of the built one: further ones are left out, and one that is
    missing may be None or False there, as options that a later version of torch brought are.
    Numbers may differ, but a count that is positive stays so, and none becomes infinite.
    """
    is_number = type(saved) in (int, float)
    if type(saved) is not type(built) and not (is_number and isinstance(built, float)):
        raise ValueError(f"{where}: a {type(saved).__name__}, not a {type(built).__name__}")
    if isinstance(built, dict):
        for key, value in built.items():
            if key not in saved and not (value is None or value is False):
                raise ValueError(f"{where}: without {key}")
        return {k: alike(v, saved.get(k, v), f"{where}.{k}") for k, v in built.items()}
    if isinstance(built, list | tuple):
        if len(saved) != len(built):
            raise ValueError(f"{where}: {len(saved)} values, not {len(built)}")
        pairs = zip(built, saved, strict=True)
        return type(built)(alike(b, f, f"{where}.{n}") for n, (b, f) in enumerate(pairs))
    if isinstance(built, Tensor):
        if saved.shape != built.shape or saved.dtype != built.dtype:
            raise ValueError(f"{where}: {_kind(saved)}, not {_kind(built)}")
        return torch.empty_like(built).copy_(saved.detach())
    if isinstance(built, float):
        wrong = math.isnan(saved) or math.isinf(saved) > math.isinf(built)
    elif type(built) is int:
        wrong = not (built > 0) <= saved < GREATEST
    else:
        wrong = saved != built
    if wrong:
        raise ValueError(f"{where}: {saved!r} instead of {built!r}")
    return saved


def _kind(tensor: Tensor) -> str:
    return f"{tensor.dtype} of shape {tuple(tensor.shape)}"
