"""Limits the size of a model that is built from an untrusted file."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

_SPARE, _SPARE_NUMBERS = 64, 2**16  # allowance for layers and values that a model does not save
_room: ContextVar[int | None] = ContextVar("room", default=None)


@contextmanager
def limited_to(tensors: Collection[Tensor]) -> Iterator[None]:
    """Raise ValueError as soon as a model has many more weights or values than these tensors.

    For the meta device, where a model needs memory for its layers but not for their values.
    """
    layers = 4 * len(tensors) + _SPARE
    numbers = 2 * sum(tensor.numel() for tensor in tensors) + _SPARE_NUMBERS

    def count(module: nn.Module, name: str, value: Any) -> None:
        nonlocal layers, numbers
        layers -= 1
        numbers -= value.numel() if isinstance(value, Tensor) else 0
        if min(layers, numbers) < 0:
            raise ValueError("more weights than the file has")

    token = _room.set(numbers)
    hooks = [
        register_module_parameter_registration_hook(count),
        register_module_buffer_registration_hook(count),
    ]
    try:
        yield
    finally:
        _room.reset(token)
        for hook in hooks:
            hook.remove()


def check_room(numbers: int) -> None:
    """ValueError if `limited_to` allows less; for code that needs memory on the meta device too."""
    room = _room.get()
    if room is not None and numbers > room:
        raise ValueError("more weights than the file has")
