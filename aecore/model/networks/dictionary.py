"""A dictionary: images as sums of learned atoms."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from aecore.errors import ConfigError
from aecore.model.networks.base import Network, flat
from aecore.model.networks.dense import Dense
from aecore.model.passes import Model
from aecore.types import ImageShape, Shape


class Dictionary(Network):
    """x = sum_j z_j d_j + c, of the atoms d_j (Olshausen & Field 1996; Bricken et al. 2023).

    The encoder is the projection of the latent. If that is one matrix, the decoder is initialised
    as its transpose (Gao et al. 2024, app. A.1).

    tied: the decoder stays the transpose, up to the norm of the atoms. unit_norm: atoms are divided
    by their norm. subtract_bias: the encoder sees x - c.
    """

    norm = None
    output_activation = None

    tied: bool
    unit_norm: bool
    subtract_bias: bool

    @override
    def feature_shape(self, image_shape: ImageShape) -> Shape:
        return (flat(image_shape),)

    @override
    def encoder(self, image_shape: ImageShape) -> nn.Module:
        return nn.Sequential(nn.Flatten(), *([Shift()] if self.subtract_bias else []))

    @override
    def decoder(self, code_shape: Shape, image_shape: ImageShape) -> nn.Module:
        atoms = Atoms(flat(code_shape), flat(image_shape), self.unit_norm)
        return nn.Sequential(nn.Flatten(), atoms, nn.Unflatten(1, image_shape))

    @override
    def connect(self, model: Model) -> None:
        (atoms,) = (m for m in model.decoder.modules() if isinstance(m, Atoms))
        for shift in (m for m in model.encoder.modules() if isinstance(m, Shift)):
            shift.bias = atoms.bias
        layers = [m for m in model.latent.modules() if isinstance(m, nn.Linear)]
        fits = [m.weight.shape for m in layers] == [atoms.directions.shape]
        if self.tied and not fits:
            problem = "encoder and latent are not one matrix from the pixels to the code"
            hint = "use network.tied=false, or latent=topk or deterministic without classes"
            raise ConfigError("network.tied", True, problem, hint)
        if self.tied:
            atoms.directions = layers[0].weight  # type: ignore[assignment]
        elif fits:
            atoms.directions.data.copy_(layers[0].weight.data)


class Atoms(Dense):
    """Codes (N, units) -> sums of atoms, (N, pixels).

    directions: (units, pixels) the atoms up to their norm.
    """

    def __init__(self, units: int, pixels: int, unit_norm: bool) -> None:
        nn.Module.__init__(self)  # not Linear's: `weight` is computed
        self.in_features, self.out_features, self.unit_norm = units, pixels, unit_norm
        self.directions = nn.Parameter(F.normalize(torch.randn(units, pixels), dim=1))
        self.bias = nn.Parameter(torch.zeros(pixels))

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """The atoms as columns, (pixels, units)."""
        directions = self.directions
        return (F.normalize(directions, dim=1) if self.unit_norm else directions).T


class Shift(nn.Module):
    """Subtracts the bias of the decoder from the pixels; what stands behind them is kept."""

    bias: nn.Parameter | None

    def __init__(self) -> None:
        super().__init__()
        self.register_parameter("bias", None)  # until `Dictionary.connect`

    def forward(self, x: Tensor) -> Tensor:
        """(N, features) -> the same shape."""
        assert self.bias is not None
        return x - F.pad(self.bias, (0, x.shape[1] - len(self.bias)))
