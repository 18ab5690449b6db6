"""Numbers as colours."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib
import numpy as np
import torch
from matplotlib.colors import Colormap, Normalize, to_hex
from torch import Tensor

_NOTHING = (0.9, 0.9, 0.9)  # the colour of NaN


@dataclass(frozen=True)
class Scale:
    """A colour scale, from -limit to limit if signed, else from 0 to limit.

    Blue, white, red for numbers around 0; dark to bright for those from 0 on; NaN is light grey.

    label: of the bar that shows it.
    """

    limit: float
    signed: bool = True
    label: str = ""

    @classmethod
    def of(cls, values: Tensor, label: str = "") -> Scale:
        """The scale of these numbers, signed if any is negative; NaN is ignored."""
        values = values.nan_to_num()
        return cls(max(float(values.abs().max()), 1e-12), bool((values < 0).any()), label)

    @property
    def norm(self) -> Normalize:
        """From numbers to [0, 1]."""
        return Normalize(-self.limit if self.signed else 0.0, self.limit)

    @property
    def colour_map(self) -> Colormap:
        """From [0, 1] to colours."""
        name = "RdBu_r" if self.signed else "viridis"
        return matplotlib.colormaps[name].with_extremes(bad=_NOTHING)

    def colours(self, values: Tensor) -> Tensor:
        """(N, H, W) -> RGB (N, 3, H, W) in [0, 1]; one line of numbers is drawn 8 pixels high."""
        if values.shape[-2] == 1 and values.shape[-1] > 2:
            values = values.expand(*values.shape[:-2], 8, -1)
        shares = self.norm(values.detach().float().cpu().numpy())
        rgba = self.colour_map(np.ma.filled(shares, np.nan))
        return torch.from_numpy(rgba[..., :3]).float().movedim(-1, -3)


def palette(count: int) -> list[str]:
    """Colours for `count` classes, as different as can be."""
    if count <= 20:
        name = "tab10" if count <= 10 else "tab20"
        return [to_hex(matplotlib.colormaps[name](n)) for n in range(count)]
    return [to_hex(matplotlib.colormaps["turbo"](n / (count - 1))) for n in range(count)]
