"""Sparse codes by a learned threshold of each unit: `jump_relu` and `gated`."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Generator, Tensor, nn
from typing_extensions import override

from aecore.config.component import NonNegativeFloat, PositiveFloat, PositiveInt
from aecore.model.codes import Code, at_least_float32
from aecore.model.latents.base import Latent
from aecore.model.latents.quantised import straight_through
from aecore.model.networks.base import flat
from aecore.model.networks.dense import Dense
from aecore.model.passes import Pass
from aecore.types import Shape


class JumpReLU(Latent):
    """z = a where a > theta, else 0; a = W h + b, theta > 0 (Rajamanoharan et al. 2024b).

    The cost `l0` is the number of active values times `sparsity`. Neither it nor z has a derivative
    by theta; as in the paper (eq. 11 and 12) that of their expectation is estimated from the values
    within `bandwidth` / 2 of theta.

    threshold: the initial theta of all units.
    """

    cost_names = ("l0",)

    dim: PositiveInt
    sparsity: NonNegativeFloat
    threshold: PositiveFloat
    bandwidth: PositiveFloat

    @override
    def attach(self, feature_shape: Shape) -> Shape:
        self.project = nn.Sequential(nn.Flatten(), Dense(flat(feature_shape), self.dim))
        self.log_threshold = nn.Parameter(torch.full((self.dim,), math.log(self.threshold)))
        return (self.dim,)

    @override
    def forward(self, h: Tensor, generator: Generator | None, sample: bool) -> Code:
        a, theta = at_least_float32(self.project(h)), self.log_threshold.exp()
        active = (a > theta).to(a)
        near = ((a - theta).abs() < self.bandwidth / 2).to(a) / self.bandwidth
        z = straight_through(a * active, a * active - theta * (theta * near).detach())
        count = straight_through(active, -theta * near).sum(1)
        return Code(z, z, costs={"l0": self.sparsity * count})

    @override
    def nearest(self, z: Tensor) -> Tensor:
        return torch.where(z > self.log_threshold.exp(), z, 0)


class Gated(Latent):
    """Which values are active is one ReLU, their size another (Rajamanoharan et al. 2024a).

    z = [W h + b > 0] * ReLU(exp(r) * W h + c). The L1 norm of the gate ReLU(W h + b), the cost
    `gate_l1` times `sparsity`, so does not shrink z; the gate learns what to keep from the cost
    `gate_reconstruction`, the loss of decoding it by the decoder with constant weights. The gate
    could become small at no cost unless the atoms have unit norm: network=dictionary.
    """

    cost_names = ("gate_l1", "gate_reconstruction")

    dim: PositiveInt
    sparsity: NonNegativeFloat

    @override
    def attach(self, feature_shape: Shape) -> Shape:
        self.project = nn.Sequential(nn.Flatten(), Dense(flat(feature_shape), self.dim, bias=False))
        self.gate_bias = nn.Parameter(torch.zeros(self.dim))
        self.log_scale = nn.Parameter(torch.zeros(self.dim))
        self.bias = nn.Parameter(torch.zeros(self.dim))
        return (self.dim,)

    @override
    def forward(self, h: Tensor, generator: Generator | None, sample: bool) -> Code:
        a = at_least_float32(self.project(h))
        gate = (a + self.gate_bias).relu()
        size = (a * self.log_scale.exp() + self.bias).relu()
        z = torch.where(gate > 0, size, 0)
        return Code(z, z, costs={"gate_l1": self.sparsity * gate.sum(1)}, raw=gate)

    @override
    def costs(self, p: Pass) -> Mapping[str, Tensor]:
        assert p.code.raw is not None
        output = p.model.output(p.code.raw, p.code.context, constant=True)
        return {"gate_reconstruction": p.model.reconstruction(output, p.x)}

    @override
    def nearest(self, z: Tensor) -> Tensor:
        return z.clamp_min(0)
