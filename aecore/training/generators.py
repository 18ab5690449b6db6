"""The random generators of training: seeded once an epoch, and saved within one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor


class Generators:
    """All that training draws from: a generator, and torch's own beside it.

    generator: what is handed to noise and latents; on the device. Dropout layers know no other
    generator than torch's.
    """

    def __init__(self, device: torch.device) -> None:
        self.generator = Generator(device=device)
        self._device = device

    def seed(self, seed: int) -> None:
        """Begin both anew."""
        torch.manual_seed(seed)
        self.generator.manual_seed(seed)

    def states(self) -> list[Tensor]:
        """Where the generators stand: uint8 vectors on the CPU."""
        found = [self.generator.get_state(), torch.get_rng_state()]
        if self._device.type != "cpu":
            found.append(torch.get_device_module(self._device).get_rng_state())
        return found

    def go_on(self, states: Sequence[Tensor]) -> bool:
        """Take up `states`; False, and nothing done, where they are those of another device."""
        if [s.shape for s in states] != [s.shape for s in self.states()]:
            return False
        own, common, *device = (state.clone() for state in states)  # torch crashes on a view
        self.generator.set_state(own)
        torch.set_rng_state(common)
        for state in device:
            torch.get_device_module(self._device).set_rng_state(state)
        return True
