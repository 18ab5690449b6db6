"""The random generators of training: seeded once an epoch, and saved within one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Generator, Tensor


class Generators:
    """The generator of noise and latents, and those of torch itself, which dropout layers use.

    generator: on the device.
    """

    def __init__(self, device: torch.device) -> None:
        self.generator = Generator(device=device)
        self._device = device

    def seed(self, seed: int) -> None:
        """Seed all of them."""
        torch.manual_seed(seed)
        self.generator.manual_seed(seed)

    def states(self) -> list[Tensor]:
        """The states of the generators: uint8 vectors on the CPU."""
        states = [self.generator.get_state(), torch.get_rng_state()]
        if self._device.type != "cpu":
            states.append(torch.get_device_module(self._device).get_rng_state())
        return states

    def restore(self, states: Sequence[Tensor], rank: int, ranks: int) -> bool:
        """Set the states of a rank out of those of all, each (ranks, size).

        Does nothing and returns False where they are of another device or number of ranks.
        """
        here = [state[rank] for state in states if len(state) == ranks]
        if [s.shape for s in here] != [s.shape for s in self.states()]:
            return False
        noise, common, *device = (state.clone() for state in here)  # torch crashes on a view
        self.generator.set_state(noise)
        torch.set_rng_state(common)
        for state in device:
            torch.get_device_module(self._device).set_rng_state(state)
        return True


def check_state(state: Tensor) -> None:
    """Raise ValueError for what has the size of a generator's state and is none."""
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for generator in (Generator(device=device) for device in devices):
        if generator.get_state().shape == state.shape:
            try:
                generator.set_state(state.clone())
            except RuntimeError as error:
                raise ValueError(f"generators: {error}") from error


def epoch_seed(seed: int, epoch: int, rank: int = 0, step: int = 0) -> int:
    """A well-mixed 63-bit seed for an epoch of a run from a step on, other for each rank."""
    state = np.random.SeedSequence([seed, epoch, rank, step]).generate_state(1, np.uint64)
    return int(state[0] >> 1)
